//! The registers that this board package uses, by the names of the LM3S6965's data sheet.
//!
//! Invariant: no register here can harm memory. This microcontroller has no DMA, so that what is
//! written to a peripheral never becomes a write to RAM. Those of which this is not true cannot be
//! named, because [`Register::at`] refuses their addresses when this is compiled: the flash
//! controller's, and the processor's but for SysTick, the enabling and pending of interrupts,
//! `ICSR` and what describes a fault.
//!
//! Place: below every driver of this package. Reading and writing is all it does; what the bits
//! mean is the drivers' knowledge. This module uses `unsafe`: an address becomes a volatile access.

use core::ptr;

/// A register of 32 bits.
#[derive(Clone, Copy)]
pub(crate) struct Register {
    /// INVARIANT: a multiple of 4 in one of the ranges of [`Register::at`].
    address: usize,
}

impl Register {
    /// The register at `base + offset`.
    ///
    /// # Panics
    /// While compiling, since all are constants: when that is none of the harmless registers.
    pub(crate) const fn at(base: usize, offset: usize) -> Self {
        let address = base + offset;
        let is_peripheral = matches!(address, 0x4000_0000..0x400f_d000 | 0x400f_e000..0x4010_0000);
        let is_processor = matches!(address, 0xe000_e010..0xe000_e020 | 0xe000_e100..0xe000_e108)
            || matches!(address, 0xe000_e200..0xe000_e208)
            || matches!(address, 0xe000_ed04 | 0xe000_ed28 | 0xe000_ed34 | 0xe000_ed38);
        assert!(address.is_multiple_of(4) && (is_peripheral || is_processor));
        Self { address }
    }

    #[inline(always)]
    pub(crate) fn read(self) -> u32 {
        // SAFETY: the invariant of `address`: a register, aligned, that is nobody's memory.
        unsafe { ptr::with_exposed_provenance::<u32>(self.address).read_volatile() }
    }

    #[inline(always)]
    pub(crate) fn write(self, value: u32) {
        // SAFETY: as above; and no such write changes any memory, since there is no DMA.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(self.address).write_volatile(value) }
    }

    /// Sets these bits and leaves the others. Not for registers that an interrupt writes, too.
    pub(crate) fn set(self, bits: u32) {
        self.write(self.read() | bits);
    }
}

/// System control (data sheet, chapter 5).
pub(crate) mod system {
    use super::Register;

    const BASE: usize = 0x400f_e000;
    /// Device identification: bits 15:0 are the revision.
    pub(crate) const DID0: Register = Register::at(BASE, 0x000);
    /// The voltage of the regulator.
    pub(crate) const LDOPCTL: Register = Register::at(BASE, 0x034);
    /// Raw interrupt status.
    pub(crate) const RIS: Register = Register::at(BASE, 0x050);
    /// Run-mode clock configuration.
    pub(crate) const RCC: Register = Register::at(BASE, 0x060);
    /// Run-mode clock gates: the UARTs and the timers.
    pub(crate) const RCGC1: Register = Register::at(BASE, 0x104);
    /// Run-mode clock gates: Ethernet and the ports.
    pub(crate) const RCGC2: Register = Register::at(BASE, 0x108);
    /// What whoever made the board left there: here, the first half of the MAC address.
    pub(crate) const USER_REG0: Register = Register::at(BASE, 0x1e0);
    /// The second half.
    pub(crate) const USER_REG1: Register = Register::at(BASE, 0x1e4);
}

/// A general-purpose port (chapter 8).
pub(crate) struct Port {
    /// Bit 0 alone: the address selects the bits that a write changes and a read shows.
    pub(crate) data_0: Register,
    /// Direction: 1 is an output.
    pub(crate) dir: Register,
    /// Alternate function: 1 is the peripheral's pin.
    pub(crate) afsel: Register,
    /// Digital enable.
    pub(crate) den: Register,
}

impl Port {
    const fn at(base: usize) -> Self {
        Self {
            data_0: Register::at(base, 1 << 2),
            dir: Register::at(base, 0x400),
            afsel: Register::at(base, 0x420),
            den: Register::at(base, 0x51c),
        }
    }
}

/// Port A: UART0 is on PA0 and PA1.
pub(crate) const PORT_A: Port = Port::at(0x4000_4000);
/// Port D: UART1 is on PD2 and PD3.
pub(crate) const PORT_D: Port = Port::at(0x4000_7000);
/// Port F: the user LED is on PF0, Ethernet's own are on PF2 and PF3.
pub(crate) const PORT_F: Port = Port::at(0x4002_5000);

/// General-purpose timer module 0 (chapter 9).
pub(crate) mod timer0 {
    use super::Register;

    const BASE: usize = 0x4003_0000;
    pub(crate) const CFG: Register = Register::at(BASE, 0x000);
    pub(crate) const TAMR: Register = Register::at(BASE, 0x004);
    pub(crate) const CTL: Register = Register::at(BASE, 0x00c);
    pub(crate) const IMR: Register = Register::at(BASE, 0x018);
    pub(crate) const ICR: Register = Register::at(BASE, 0x024);
    pub(crate) const TAILR: Register = Register::at(BASE, 0x028);
}

/// General-purpose timer module 1.
pub(crate) mod timer1 {
    use super::Register;

    const BASE: usize = 0x4003_1000;
    pub(crate) const CFG: Register = Register::at(BASE, 0x000);
    pub(crate) const TAMR: Register = Register::at(BASE, 0x004);
    pub(crate) const CTL: Register = Register::at(BASE, 0x00c);
    pub(crate) const IMR: Register = Register::at(BASE, 0x018);
    pub(crate) const ICR: Register = Register::at(BASE, 0x024);
    pub(crate) const TAILR: Register = Register::at(BASE, 0x028);
}

/// UART0 (chapter 12).
pub(crate) mod uart0 {
    use super::Register;

    const BASE: usize = 0x4000_c000;
    pub(crate) const DR: Register = Register::at(BASE, 0x000);
    pub(crate) const FR: Register = Register::at(BASE, 0x018);
    pub(crate) const IBRD: Register = Register::at(BASE, 0x024);
    pub(crate) const FBRD: Register = Register::at(BASE, 0x028);
    pub(crate) const LCRH: Register = Register::at(BASE, 0x02c);
    pub(crate) const CTL: Register = Register::at(BASE, 0x030);
}

/// UART1.
pub(crate) mod uart1 {
    use super::Register;

    const BASE: usize = 0x4000_d000;
    /// Both FIFOs: a read takes a byte and what was wrong with it, a write puts one.
    pub(crate) const DR: Register = Register::at(BASE, 0x000);
    pub(crate) const FR: Register = Register::at(BASE, 0x018);
    pub(crate) const IBRD: Register = Register::at(BASE, 0x024);
    pub(crate) const FBRD: Register = Register::at(BASE, 0x028);
    pub(crate) const LCRH: Register = Register::at(BASE, 0x02c);
    pub(crate) const CTL: Register = Register::at(BASE, 0x030);
    /// Interrupt mask.
    pub(crate) const IM: Register = Register::at(BASE, 0x038);
    /// Interrupt clear: a write of 1 acknowledges.
    pub(crate) const ICR: Register = Register::at(BASE, 0x044);
}

/// The Ethernet controller (chapter 15).
pub(crate) mod ethernet {
    use super::Register;

    const BASE: usize = 0x4004_8000;
    /// Raw interrupt status; a write of 1 acknowledges (MACIACK).
    pub(crate) const RIS: Register = Register::at(BASE, 0x000);
    /// Interrupt mask.
    pub(crate) const IM: Register = Register::at(BASE, 0x004);
    /// Receive control.
    pub(crate) const RCTL: Register = Register::at(BASE, 0x008);
    /// Transmit control.
    pub(crate) const TCTL: Register = Register::at(BASE, 0x00c);
    /// Both FIFOs: a read takes from the one, a write puts into the other.
    pub(crate) const DATA: Register = Register::at(BASE, 0x010);
    /// The individual address: its first four bytes.
    pub(crate) const IA0: Register = Register::at(BASE, 0x014);
    /// Its last two.
    pub(crate) const IA1: Register = Register::at(BASE, 0x018);
    /// Management control: which register of the PHY, and which way.
    pub(crate) const MCTL: Register = Register::at(BASE, 0x020);
    /// Management divider.
    pub(crate) const MDV: Register = Register::at(BASE, 0x024);
    /// Management transmit data.
    pub(crate) const MTXD: Register = Register::at(BASE, 0x02c);
    /// Management receive data.
    pub(crate) const MRXD: Register = Register::at(BASE, 0x030);
    /// Number of packets that wait.
    pub(crate) const NP: Register = Register::at(BASE, 0x034);
    /// Transmission request.
    pub(crate) const TR: Register = Register::at(BASE, 0x038);
}

/// The processor's own (ARMv7-M Architecture Reference Manual, B3).
pub(crate) mod processor {
    use super::Register;

    /// SysTick control and status.
    pub(crate) const SYST_CSR: Register = Register::at(0xe000_e000, 0x010);
    /// SysTick reload value.
    pub(crate) const SYST_RVR: Register = Register::at(0xe000_e000, 0x014);
    /// SysTick current value.
    pub(crate) const SYST_CVR: Register = Register::at(0xe000_e000, 0x018);
    /// Interrupt set-enable, of interrupts 0 to 31 and of 32 to 63.
    pub(crate) const NVIC_ISER: [Register; 2] =
        [Register::at(0xe000_e000, 0x100), Register::at(0xe000_e000, 0x104)];
    /// Interrupt set-pending, of the same.
    pub(crate) const NVIC_ISPR: [Register; 2] =
        [Register::at(0xe000_e000, 0x200), Register::at(0xe000_e000, 0x204)];
    /// Interrupt control and state: what is pending.
    pub(crate) const ICSR: Register = Register::at(0xe000_e000, 0xd04);
    /// Configurable fault status: what the processor refused.
    pub(crate) const CFSR: Register = Register::at(0xe000_e000, 0xd28);
    /// The address that the MPU refused, where CFSR says that it is valid.
    pub(crate) const MMFAR: Register = Register::at(0xe000_e000, 0xd34);
    /// The address that the bus refused, where CFSR says that it is valid.
    pub(crate) const BFAR: Register = Register::at(0xe000_e000, 0xd38);
}
