//! The read buffer of a connection, and the frames in it.

use std::io::{self, ErrorKind, Read};

use super::ConnectionError;

/// What a connection's read buffer starts with, and returns to after an unusually large request.
const INPUT_BYTES: usize = 64 * 1024;
/// An empty read buffer larger than this is given back.
const INPUT_BYTES_KEPT_MAX: usize = 1024 * 1024;
/// The longest unsigned varint of 64 bits.
const VARINT_BYTES_MAX: usize = 10;

/// The bytes read and not yet consumed: `bytes[start..end]`. Frames are handed out as slices of it.
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    frame_bytes_max: usize,
}

impl Input {
    pub(super) fn new(frame_bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, frame_bytes_max }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The next whole frame without its length prefix, if it has arrived.
    pub(super) fn next_frame(&mut self) -> Result<Option<&[u8]>, ConnectionError> {
        let pending = self.bytes.get(self.start..self.end).unwrap_or_default();
        let Some((length, rest)) = split_length(pending)? else { return Ok(None) };
        let max = self.frame_bytes_max;
        let too_large = ConnectionError::TooLarge { bytes: length, max };
        let length = usize::try_from(length).ok().filter(|length| *length <= max).ok_or(too_large)?;
        let Some((frame, rest)) = rest.split_at_checked(length) else { return Ok(None) };
        self.start = self.end.saturating_sub(rest.len());
        Ok(Some(frame))
    }

    /// Reads what has arrived, and waits if nothing has. Returns the number of bytes, 0 at the end of the stream.
    ///
    /// The buffer doubles only when it is full of bytes of one frame, so its size follows what the peer really sent.
    pub(super) fn fill(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > INPUT_BYTES_KEPT_MAX {
                self.bytes = Vec::new();
            }
        }
        if self.end == self.bytes.len() && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        if self.end == self.bytes.len() {
            let largest = self.frame_bytes_max.saturating_add(VARINT_BYTES_MAX).max(INPUT_BYTES);
            let doubled = self.bytes.len().saturating_mul(2);
            self.bytes.resize(doubled.clamp(INPUT_BYTES, largest), 0);
        }
        let spare = self.bytes.get_mut(self.end..).unwrap_or_default();
        loop {
            match stream.read(spare) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(read) => {
                    self.end = self.end.saturating_add(read);
                    return Ok(read);
                }
            }
        }
    }
}

/// Splits an unsigned varint off the front; `None` while it is incomplete.
pub(super) fn split_length(bytes: &[u8]) -> Result<Option<(u64, &[u8])>, ConnectionError> {
    let mut value: u64 = 0;
    let mut rest = bytes;
    for shift in (0..64).step_by(7) {
        let Some((byte, tail)) = rest.split_first() else { return Ok(None) };
        rest = tail;
        let low = u64::from(*byte & 0x7f);
        value |= low << shift;
        if *byte < 0x80 {
            let is_padded = *byte == 0 && shift > 0;
            let is_overflow = low << shift >> shift != low;
            return if is_padded || is_overflow {
                Err(ConnectionError::Length)
            } else {
                Ok(Some((value, rest)))
            };
        }
    }
    Err(ConnectionError::Length)
}
