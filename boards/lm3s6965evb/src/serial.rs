//! Text out of UART0, at 115,200 baud: what the board says about itself.
//!
//! Whoever prints waits until the UART has taken the text, 87 us a character once its FIFO of 16 is
//! full: this is for the few lines of a start, an address, or a failure, not for one a request.
//!
//! Invariant: a line is printed whole by the one thread there is, or by a failure, after which
//! nothing else runs. Numbers are printed here, without `core::fmt`.
//!
//! Place: above the registers; the log, the panic handler and the fault handler print through it.

use core::fmt;

use crate::registers::PORT_A;
use crate::registers::uart0::{CTL, DR, FBRD, FR, IBRD, LCRH};
use crate::system::CLOCK_HZ;

/// PA0 receives and PA1 transmits.
const PINS: u32 = 0b11;
/// 64ths of the divider: the clock / (16 x 115,200), rounded.
const DIVIDER: u32 = (CLOCK_HZ * 4 + 115_200 / 2) / 115_200;
/// LCRH: 8 bits, no parity, one stop bit, FIFOs on.
const WLEN_8_FEN: u32 = 0b11 << 5 | 1 << 4;
/// CTL: the UART, its transmitter and its receiver are on.
const ENABLE: u32 = 1 << 9 | 1 << 8 | 1;
/// FR: the transmit FIFO is full.
const TXFF: u32 = 1 << 5;
/// FR: a character is still on its way.
const BUSY: u32 = 1 << 3;

/// The serial port. Every value is the same one.
pub(crate) struct Serial;

/// Sets the UART up. Its clocks run.
pub(crate) fn start() {
    PORT_A.afsel.set(PINS);
    PORT_A.den.set(PINS);
    CTL.write(0);
    IBRD.write(DIVIDER / 64);
    FBRD.write(DIVIDER % 64);
    LCRH.write(WLEN_8_FEN);
    CTL.write(ENABLE);
}

impl Serial {
    /// Prints it.
    pub(crate) fn text(&self, text: &str) {
        for &byte in text.as_bytes() {
            while FR.read() & TXFF != 0 {}
            DR.write(u32::from(byte));
        }
    }

    /// Ends the line.
    pub(crate) fn end_line(&self) {
        self.text("\r\n");
    }

    /// Prints it in decimal.
    #[inline(never)]
    pub(crate) fn number(&self, mut number: usize) {
        let mut digits = [b'0'; 10];
        let mut first = digits.len();
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            *digit += (number % 10) as u8;
            number /= 10;
            first = at;
            if number == 0 {
                break;
            }
        }
        self.text(digits.get(first..).and_then(|it| str::from_utf8(it).ok()).unwrap_or_default());
    }

    /// Prints it in hexadecimal, as `0x0123abcd`.
    pub(crate) fn hexadecimal(&self, number: u32) {
        const DIGITS: &str = "0123456789abcdef";
        self.text("0x");
        for shift in (0..32).step_by(4).rev() {
            let digit = (number >> shift & 0xf) as usize;
            self.text(DIGITS.get(digit..=digit).unwrap_or_default());
        }
    }

    /// Waits until the last character has left.
    pub(crate) fn flush(&self) {
        while FR.read() & BUSY != 0 {}
    }
}

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text(text);
        Ok(())
    }
}
