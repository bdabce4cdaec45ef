//! `cargo xtask firmware EXAMPLE --board BOARD`: builds an example for a board and says how to get
//! it there.
//!
//! `DUSTDEVIL_IP` chooses its address when it is built: `dhcp`, which it also is without, or
//! `192.0.2.2/24`; `DUSTDEVIL_GATEWAY` says what leads out of that network.

use ::qemu::firmware::Address;
use ::qemu::image::Image;
use anyhow::Result;

use crate::boards::Board;

/// What is built.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The example: hello, bench or demo
    example: String,
    /// The board's package under boards/
    #[arg(long)]
    board: String,
}

/// Runs the step. Its last lines are for the one who holds the board.
pub(crate) fn run(options: &Options) -> Result<()> {
    let board = Board::find(&options.board)?;
    let address = Address::of_environment()?.unwrap_or(Address::Dhcp);
    let elf = board.build(&options.example, &address, &[])?;
    let image = Image::read(&elf)?;
    let (flash, statics) = (image.flash_bytes, image.static_bytes);
    println!("{} for the {}, its address {address}", options.example, board.name);
    println!("ELF file:   {}", elf.display());
    println!("flash:      {flash} of {} bytes", board.flash_bytes);
    println!("static RAM: {statics} of {} bytes", board.ram_bytes);
    if let Some(stack) = image.stack {
        println!("stack:      {} bytes", stack.bytes());
    }
    println!("flash it:   {}", board.flash_command(&elf));
    Ok(())
}
