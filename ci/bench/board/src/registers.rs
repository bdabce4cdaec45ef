//! The registers that are used, by the names of the LM3S6965's data sheet.

use core::ptr;

/// A register of 32 bits.
#[derive(Clone, Copy)]
pub(crate) struct Register(usize);

impl Register {
    #[inline(always)]
    pub(crate) fn read(self) -> u32 {
        // SAFETY: each constant below is a register's address; none has memory behind it.
        unsafe { ptr::with_exposed_provenance::<u32>(self.0).read_volatile() }
    }

    #[inline(always)]
    pub(crate) fn write(self, value: u32) {
        // SAFETY: as above; there is no DMA, so a write to one never becomes a write to memory.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(self.0).write_volatile(value) }
    }

    fn set(self, bits: u32) {
        self.write(self.read() | bits);
    }
}

/// System control (chapter 5).
pub(crate) mod system {
    use super::Register;

    /// The system clock, in hertz.
    pub(crate) const CLOCK_HZ: u32 = 50_000_000;

    const RIS: Register = Register(0x400f_e050);
    const RCC: Register = Register(0x400f_e060);
    const RCGC1: Register = Register(0x400f_e104);
    const RCGC2: Register = Register(0x400f_e108);
    /// RCC: the PLL is passed by.
    const BYPASS: u32 = 1 << 11;
    /// RCC: the PLL's 200 MHz divided by 4, a crystal of 8 MHz, the main oscillator.
    const PLL: u32 = 3 << 23 | 1 << 22 | 0xe << 6;
    /// RCC: the fields of the above, and the PLL and the main oscillator off.
    const FIELDS: u32 = 0xf << 23 | 1 << 22 | 1 << 13 | BYPASS | 0xf << 6 | 3 << 4 | 1;
    /// RIS: the PLL has locked.
    const PLLLRIS: u32 = 1 << 6;
    /// RCGC1: timer 0 and UART0.
    const TIMER0_UART0: u32 = 1 << 16 | 1;
    /// RCGC2: Ethernet's MAC and PHY, ports A and F.
    const ETHERNET_GPIO: u32 = 1 << 30 | 1 << 28 | 1 << 5 | 1;

    pub(crate) fn start() {
        let at_reset = RCC.read();
        RCC.write((at_reset | BYPASS) & !(1 << 22 | 1));
        cortex_m::asm::delay(120_000);
        let new = at_reset & !FIELDS | PLL;
        RCC.write(new | BYPASS);
        while RIS.read() & PLLLRIS == 0 {}
        RCC.write(new);
        RCGC1.set(TIMER0_UART0);
        RCGC2.set(ETHERNET_GPIO);
        cortex_m::asm::delay(8);
    }
}

/// UART0 (chapter 12), on PA0 and PA1.
pub(crate) mod uart0 {
    use super::Register;
    use super::system::CLOCK_HZ;

    const PORT_A_AFSEL: Register = Register(0x4000_4420);
    const PORT_A_DEN: Register = Register(0x4000_451c);
    const DR: Register = Register(0x4000_c000);
    const FR: Register = Register(0x4000_c018);
    const IBRD: Register = Register(0x4000_c024);
    const FBRD: Register = Register(0x4000_c028);
    const LCRH: Register = Register(0x4000_c02c);
    const CTL: Register = Register(0x4000_c030);
    /// 64ths of the divider for 115,200 baud.
    const DIVIDER: u32 = (CLOCK_HZ * 4 + 115_200 / 2) / 115_200;

    pub(crate) fn start() {
        PORT_A_AFSEL.set(0b11);
        PORT_A_DEN.set(0b11);
        IBRD.write(DIVIDER / 64);
        FBRD.write(DIVIDER % 64);
        LCRH.write(0b11 << 5 | 1 << 4);
        CTL.write(1 << 9 | 1 << 8 | 1);
    }

    pub(crate) fn print(text: &str) {
        for &byte in text.as_bytes() {
            while FR.read() & 1 << 5 != 0 {}
            DR.write(u32::from(byte));
        }
    }
}

/// Timer 0 (chapter 9).
pub(crate) mod timer0 {
    use super::Register;

    pub(crate) const CFG: Register = Register(0x4003_0000);
    pub(crate) const TAMR: Register = Register(0x4003_0004);
    pub(crate) const CTL: Register = Register(0x4003_000c);
    pub(crate) const IMR: Register = Register(0x4003_0018);
    pub(crate) const ICR: Register = Register(0x4003_0024);
    pub(crate) const TAILR: Register = Register(0x4003_0028);
}

/// The Ethernet controller (chapter 15).
pub(crate) mod mac {
    use super::Register;

    pub(crate) const RIS: Register = Register(0x4004_8000);
    pub(crate) const IM: Register = Register(0x4004_8004);
    pub(crate) const RCTL: Register = Register(0x4004_8008);
    pub(crate) const TCTL: Register = Register(0x4004_800c);
    pub(crate) const DATA: Register = Register(0x4004_8010);
    pub(crate) const IA0: Register = Register(0x4004_8014);
    pub(crate) const IA1: Register = Register(0x4004_8018);
    pub(crate) const NP: Register = Register(0x4004_8034);
    pub(crate) const TR: Register = Register(0x4004_8038);
}

/// The processor's own (ARMv7-M Architecture Reference Manual, B3).
pub(crate) mod processor {
    use super::Register;

    pub(crate) const SYST_CSR: Register = Register(0xe000_e010);
    pub(crate) const SYST_RVR: Register = Register(0xe000_e014);
    pub(crate) const SYST_CVR: Register = Register(0xe000_e018);
    pub(crate) const NVIC_ISER0: Register = Register(0xe000_e100);
    pub(crate) const NVIC_ISER1: Register = Register(0xe000_e104);
    pub(crate) const ICSR: Register = Register(0xe000_ed04);
}
