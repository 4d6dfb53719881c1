//! Variables of the rarer kinds: pointers to members, arrays whose lengths are
//! computed, complex numbers, pointers that are nowhere.

use std::sync::Arc;

use trapline_core::ids::ModuleId;
use trapline_core::location::{BinaryOp, Op, Piece, Place, Pointed};
use trapline_core::types::{BaseKind, Count, Type, TypeKind, TypeLink, TypeRef};

use super::super::random::Random;
use super::super::support::{base, int, pointer};
use super::World;

/// The two lengths of `rows`.
const LENGTHS: usize = 2;

impl World {
    pub(super) fn bind_kinds(&mut self, random: &mut Random) {
        for copy in 0..2 {
            self.bind_member_pointer(&format!("member{copy}"), random);
            self.bind_complex(&format!("wave{copy}"), random);
            self.bind_nowhere(copy, random);
        }
        self.lengths = (0..LENGTHS).map(|_| self.length_of_some(random)).collect();
        let rows = (0..LENGTHS as u64).rev().fold(int(), |element, offset| {
            let count = Count::Computed(TypeRef { module: ModuleId::new(0), offset });
            let kind = TypeKind::Array { element: TypeLink::Known(element), count };
            Arc::new(Type { name: String::new(), size: None, kind })
        });
        let place = self.memory_place(random, 256);
        self.bind("rows", &rows, place);
    }

    fn bind_member_pointer(&mut self, name: &str, random: &mut Random) {
        let kind = TypeKind::MemberPointer {
            class: Some(TypeLink::Known(self.node.clone())),
            target: TypeLink::Known(int()),
        };
        let ty = Arc::new(Type { name: String::new(), size: Some(8), kind });
        let place = match random.below(4) {
            0 => self.place(random, 8, false),
            _ => {
                let at = self.memory_address(random, 8);
                let offset = random.pick(&[0, 4, 16, 64, 88, u64::MAX]);
                self.put(at, &u64::to_le_bytes(offset));
                Place::Memory(vec![Op::Const(at)])
            }
        };
        self.bind(name, &ty, place);
    }

    fn bind_complex(&mut self, name: &str, random: &mut Random) {
        let kind = TypeKind::Complex(BaseKind::Float);
        let ty = Arc::new(Type { name: "complex double".to_owned(), size: Some(16), kind });
        let place = match random.one_in(2) {
            true => self.memory_place(random, 16),
            false => {
                let mut part = || Piece { place: self.place(random, 8, true), len: 8 };
                Place::Pieces(vec![part(), part()])
            }
        };
        self.bind(name, &ty, place);
    }

    /// Pointers to a node in memory and to an integer anywhere.
    fn bind_nowhere(&mut self, copy: usize, random: &mut Random) {
        let node = self.node.clone();
        let place = self.memory_place(random, node.size.unwrap_or(0));
        let offset = random.pick(&[0, 8, -4]);
        let to_node = Place::Pointer(Box::new(Pointed { place, offset }));
        self.bind(&format!("lost_node{copy}"), &pointer(&node), to_node);
        let place = self.place(random, 4, false);
        let to_int = Place::Pointer(Box::new(Pointed { place, offset: 0 }));
        self.bind(&format!("lost_int{copy}"), &pointer(&base("int", BaseKind::Signed, 4)), to_int);
    }

    fn length_of_some(&self, random: &mut Random) -> Vec<Op> {
        let mut program = match random.one_in(2) {
            true => vec![Op::Const(random.below(8))],
            false => self.location(random, 2),
        };
        program.extend([Op::Const(7), Op::Binary(BinaryOp::And)]);
        program
    }
}
