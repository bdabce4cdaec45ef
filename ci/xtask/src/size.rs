//! `cargo xtask size`: what the firmware of each example takes on each board.
//!
//! Flash and statics are read from the linked file; the stack's peak is what a load in QEMU
//! reached, see `bench::sizes`.

use ::qemu::image::Image;
use anyhow::Result;

use crate::bench;
use crate::boards::{BOARDS, Board};

/// What is looked at.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Look at this board alone
    #[arg(long)]
    board: Option<String>,
    /// Print what each crate takes of the flash
    #[arg(long)]
    profile: bool,
}

/// Runs the step.
pub(crate) fn run(options: &Options) -> Result<()> {
    let only = options.board.as_deref().map(Board::find).transpose()?;
    let boards = BOARDS.iter().filter(|board| only.is_none_or(|only| only.name == board.name));
    for board in boards {
        let sizes = bench::of_examples(board)?;
        let head = ["flash", "static RAM", "stack", "RAM in all", "a connection"];
        let [flash, statics, stack, all, connection] = head;
        println!("\n{}, bytes, with a static address", board.name);
        println!("{:8} {flash:>8} {statics:>11} {stack:>7} {all:>11} {connection:>13}", "");
        for size in &sizes {
            let all = size.static_bytes + size.stack_peak_bytes;
            let connection = size.connection_bytes.map(|bytes| bytes.to_string());
            println!(
                "{:8} {:>8} {:>11} {:>7} {all:>11} {:>13}",
                size.example,
                size.flash_bytes,
                size.static_bytes,
                size.stack_peak_bytes,
                connection.unwrap_or_default(),
            );
        }
        println!("{:8} {:>8} {:>38}", "there is", board.flash_bytes, board.ram_bytes);
        for size in sizes.iter().filter(|_| options.profile) {
            println!("\nflash of {}, bytes", size.example);
            for (name, bytes) in Image::flash_of_crates(&size.elf)? {
                println!("{bytes:>8}  {name}");
            }
        }
    }
    Ok(())
}
