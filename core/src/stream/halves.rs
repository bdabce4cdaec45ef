//! The two directions of a stream, for two futures at once.
//!
//! Layer: stands on the reads and writes; part of [`stream`](super).

use super::RawStream;
use super::read::{Input, ReadInto, ReadRest, ReadSlice, ReadUntilWith, Want};
use super::write::{Closed, Flush, Write, WriteVectored};

/// The reading half of an [`IoStream`](super::IoStream); its calls are that one's.
pub struct Reader<'s, 'b, S> {
    pub(super) raw: &'s S,
    pub(super) input: &'s mut Input<'b>,
}

impl<'b, S: RawStream> Reader<'_, 'b, S> {
    /// The bytes that were received and not read.
    pub fn buffered(&self) -> &[u8] {
        self.input.held()
    }

    /// See [`IoStream::read_until`](super::IoStream::read_until). Cancel-safe: as there.
    pub fn read_until<'r>(&'r mut self, delimiter: &'r [u8], max: usize) -> ReadSlice<'r, 'b, S> {
        ReadSlice::new(self.raw, self.input, Want::Until { delimiter, max, searched: 0 })
    }

    /// See [`IoStream::read_until_with`](super::IoStream::read_until_with). Cancel-safe: as there.
    pub fn read_until_with<F>(&mut self, matcher: F, max: usize) -> ReadUntilWith<'_, 'b, S, F>
    where
        F: FnMut(&[u8]) -> Option<usize>,
    {
        ReadUntilWith::new(self.raw, self.input, matcher, max)
    }

    /// See [`IoStream::read_bytes`](super::IoStream::read_bytes). Cancel-safe: as there.
    pub fn read_bytes(&mut self, count: usize) -> ReadSlice<'_, 'b, S> {
        ReadSlice::new(self.raw, self.input, Want::Exactly(count))
    }

    /// See [`IoStream::read_bytes_partial`](super::IoStream::read_bytes_partial).
    /// Cancel-safe: as there.
    pub fn read_bytes_partial(&mut self, max: usize) -> ReadSlice<'_, 'b, S> {
        ReadSlice::new(self.raw, self.input, Want::Some(max))
    }

    /// See [`IoStream::read_into`](super::IoStream::read_into). Cancel-safe: as there.
    pub fn read_into<'r>(&'r mut self, into: &'r mut [u8]) -> ReadInto<'r, 'b, S> {
        ReadInto::new(self.raw, self.input, into, false)
    }

    /// See [`IoStream::read_into_partial`](super::IoStream::read_into_partial).
    /// Cancel-safe: as there.
    pub fn read_into_partial<'r>(&'r mut self, into: &'r mut [u8]) -> ReadInto<'r, 'b, S> {
        ReadInto::new(self.raw, self.input, into, true)
    }

    /// See [`IoStream::read_until_close`](super::IoStream::read_until_close).
    /// Cancel-safe: as there.
    pub fn read_until_close(&mut self, max: usize) -> ReadSlice<'_, 'b, S> {
        ReadSlice::new(self.raw, self.input, Want::Rest(max))
    }

    /// See [`IoStream::read_until_close_with`](super::IoStream::read_until_close_with).
    /// Cancel-safe: as there.
    pub fn read_until_close_with<F>(&mut self, sink: F) -> ReadRest<'_, 'b, S, F>
    where
        F: FnMut(&[u8]),
    {
        ReadRest::new(self.raw, self.input, sink)
    }
}

/// The writing half of an [`IoStream`](super::IoStream); its calls are that one's.
pub struct Writer<'s, S> {
    pub(super) raw: &'s S,
}

impl<S: RawStream> Writer<'_, S> {
    /// See [`IoStream::write`](super::IoStream::write). Cancel-safe: as there.
    pub fn write<'w>(&'w mut self, data: &'w [u8]) -> Write<'w, S> {
        Write::new(self.raw, data)
    }

    /// See [`IoStream::write_vectored`](super::IoStream::write_vectored). Cancel-safe: as there.
    pub fn write_vectored<'w>(&'w mut self, parts: &'w [&'w [u8]]) -> WriteVectored<'w, S> {
        WriteVectored::new(self.raw, parts)
    }

    /// See [`IoStream::writing`](super::IoStream::writing).
    pub fn writing(&self) -> bool {
        self.raw.unsent() > 0
    }

    /// See [`IoStream::flush`](super::IoStream::flush). Cancel-safe: as there.
    pub fn flush(&mut self) -> Flush<'_, S> {
        Flush { raw: self.raw }
    }

    /// See [`IoStream::closed`](super::IoStream::closed). Cancel-safe: as there.
    pub fn closed(&self) -> Closed<'_, S> {
        Closed { raw: self.raw }
    }

    /// See [`IoStream::shutdown`](super::IoStream::shutdown).
    pub fn shutdown(&mut self) {
        self.raw.shutdown();
    }

    /// See [`IoStream::close`](super::IoStream::close).
    pub fn close(&mut self) {
        self.raw.close();
    }
}
