//! Who is in the room, and who has yet to read what the hub added.
//!
//! Invariants: no two seats have the same name, in whatever case; `due` is the number of seats that
//! are due; a seat that is due listened when the hub added something, and has not looked since.
//!
//! Capacity: the count given to [`Seats::new`]. Full: [`Seats::take`] answers `None`.

use dustdevil_core::memory::{Block, room};

use crate::words::{Message, Name};

/// The number of a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(usize);

/// A seat's state.
struct Seat {
    is_taken: bool,
    /// Empty: none yet.
    name: Name,
    /// It has read everything, and waits for news.
    is_listening: bool,
    /// There is news that it waited for.
    is_due: bool,
}

/// The seats.
pub(crate) struct Seats<'m> {
    seats: &'m mut [Seat],
    present: usize,
    due: usize,
}

impl<'m> Seats<'m> {
    /// Bytes of a block that `count` seats take.
    pub(crate) const fn bytes(count: usize) -> usize {
        room::<Seat>(count)
    }

    /// So many empty seats, cut from `block`.
    pub(crate) fn new(block: &mut Block<'m>, count: usize) -> Self {
        let empty =
            |_| Seat { is_taken: false, name: Name::new(), is_listening: false, is_due: false };
        Self { seats: block.fill(count, empty), present: 0, due: 0 }
    }

    /// A seat, if one is free.
    pub(crate) fn take(&mut self) -> Option<Place> {
        let place = self.seats.iter().position(|seat| !seat.is_taken)?;
        self.seats.get_mut(place)?.is_taken = true;
        Some(Place(place))
    }

    /// Gives a seat its name; whether nobody else has that.
    pub(crate) fn name(&mut self, place: Place, name: &Name) -> bool {
        if self.seats.iter().any(|seat| seat.name.eq_ignore_ascii_case(name)) {
            return false;
        }
        if let Some(seat) = self.seats.get_mut(place.0) {
            seat.name = name.clone();
            self.present += 1;
        }
        true
    }

    /// Frees a seat and its name; whether nobody is due any more because of that.
    pub(crate) fn leave(&mut self, place: Place) -> bool {
        let is_last = self.attend(place);
        if let Some(seat) = self.seats.get_mut(place.0) {
            self.present -= usize::from(!seat.name.is_empty());
            seat.name.clear();
            seat.is_taken = false;
        }
        is_last
    }

    /// How many have a name.
    pub(crate) fn present(&self) -> usize {
        self.present
    }

    /// From now on the seat waits for news: it has read everything.
    pub(crate) fn listen(&mut self, place: Place) {
        if let Some(seat) = self.seats.get_mut(place.0) {
            seat.is_listening = true;
        }
    }

    /// The seat looks what there is; whether it was the last that had yet to.
    pub(crate) fn attend(&mut self, place: Place) -> bool {
        let Some(seat) = self.seats.get_mut(place.0) else { return false };
        seat.is_listening = false;
        let was_due = core::mem::take(&mut seat.is_due);
        self.due -= usize::from(was_due);
        was_due && self.due == 0
    }

    /// There is news: who listens is due.
    pub(crate) fn announce(&mut self) {
        for seat in self.seats.iter_mut().filter(|seat| seat.is_listening && !seat.is_due) {
            seat.is_due = true;
            self.due += 1;
        }
    }

    /// Whether somebody has yet to read what there is.
    pub(crate) fn are_due(&self) -> bool {
        self.due > 0
    }

    /// Adds names to `line`, from seat `from` on, as many as fit with a newline; the seat to go on
    /// with, and `None` when that was all.
    pub(crate) fn list(&self, from: usize, line: &mut Message) -> Option<usize> {
        for (index, seat) in self.seats.iter().enumerate().skip(from) {
            if seat.name.is_empty() {
                continue;
            }
            if line.capacity() - line.len() < seat.name.len() + 2 {
                return Some(index);
            }
            // INVARIANT: there is room for both, and for a newline.
            let _ = line.push(' ').and_then(|()| line.push_str(&seat.name));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dustdevil_core::memory::Memory;

    fn name(text: &str) -> Name {
        Name::try_from(text).expect("short")
    }

    #[test]
    fn a_name_is_free_again_once_its_owner_has_left() {
        static MEMORY: Memory<{ Seats::bytes(3) }> = Memory::new();
        let mut seats = Seats::new(&mut MEMORY.take(), 3);
        let [ann, bob, other] = [0; 3].map(|_| seats.take().expect("a seat"));
        assert_eq!(seats.take(), None);
        assert!(seats.name(ann, &name("ann")) && seats.name(bob, &name("bob")));
        assert!(!seats.name(other, &name("ANN")) && seats.present() == 2);
        seats.leave(ann);
        assert!(seats.name(other, &name("Ann")) && seats.present() == 2);
        assert_eq!(seats.take(), Some(ann));
        let mut line = Message::new();
        assert_eq!((seats.list(0, &mut line), line.as_str()), (None, " bob Ann"));
    }

    #[test]
    fn only_who_listened_is_due_and_the_last_one_says_so() {
        static MEMORY: Memory<{ Seats::bytes(4) }> = Memory::new();
        let mut seats = Seats::new(&mut MEMORY.take(), 4);
        let [a, b, writes, leaves] = [0; 4].map(|_| seats.take().expect("a seat"));
        [a, b, leaves].into_iter().for_each(|place| seats.listen(place));
        seats.announce();
        seats.announce();
        assert!(seats.are_due());
        assert_eq!([writes, a, a].map(|place| seats.attend(place)), [false; 3]);
        assert!(!seats.leave(leaves) && seats.are_due());
        assert!(seats.attend(b) && !seats.are_due());
    }

    #[test]
    fn a_list_goes_on_where_it_stopped() {
        static MEMORY: Memory<{ Seats::bytes(20) }> = Memory::new();
        let mut seats = Seats::new(&mut MEMORY.take(), 20);
        for index in 0..20 {
            let place = seats.take().expect("a seat");
            let text = [b'a' + index; 16];
            assert!(seats.name(place, &name(core::str::from_utf8(&text).expect("ASCII"))));
        }
        let (mut from, mut names, mut lines) = (Some(0), 0, 0);
        while let Some(index) = from {
            let mut line = Message::new();
            from = seats.list(index, &mut line);
            assert!(line.len() < line.capacity());
            names += line.split_whitespace().count();
            lines += 1;
        }
        assert_eq!((names, lines), (20, 3));
    }
}
