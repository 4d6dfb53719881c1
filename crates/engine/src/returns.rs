//! Which registers hold what a function returned: the classes of System V ABI
//! AMD64, section 3.2.3. Pure; reading them is left to `session::returned`.

use std::sync::Arc;

use trapline_core::types::{BaseKind, Count, Member, RecordFlavour, ResolveType, Type, TypeKind};

/// Where a value was returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In memory, whose address is in `rax`.
    Memory,
    /// Eight bytes at a time: each half of the value, the second one only where
    /// there is more than one.
    Registers([Half; 2]),
    /// So many registers of x87's stack, its top first, sixteen bytes for each.
    X87(usize),
}

/// The register of eight bytes of a value: the next that is free of its kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Half {
    /// `rax`, then `rdx`.
    General,
    /// `xmm0`, then `xmm1`.
    Vector,
    /// The upper half of the vector register of the half before it.
    Upper,
    /// Both halves are the top of x87's stack.
    X87,
    /// Nothing is there: padding, or a record without members.
    None,
}

/// Most parts that are looked at: sixteen bytes hold few, but for empty ones.
const MAX_PARTS: usize = 256;
/// Largest value that is in registers.
const MAX_SIZE: u64 = 16;

/// Where a value of a type is returned; `None` for what is in registers that
/// nothing is known of, or of a size that is not known.
pub(crate) fn place(ty: &Arc<Type>, types: &dyn ResolveType) -> Option<Place> {
    let ty = types.strip(ty).ok()?;
    let size = ty.size?;
    if size > MAX_SIZE {
        if ty.kind == TypeKind::Complex(BaseKind::Float) {
            return Some(Place::X87(2));
        }
        return matches!(ty.kind, TypeKind::Record(_)).then_some(Place::Memory);
    }
    let mut halves = [Half::None; 2];
    let mut budget = MAX_PARTS;
    match classify(&ty, 0, types, &mut halves, &mut budget) {
        Classified::Registers if halves[0] == Half::X87 => Some(Place::X87(1)),
        Classified::Registers => Some(Place::Registers(halves)),
        Classified::Memory => Some(Place::Memory),
        Classified::Unknown => None,
    }
}

enum Classified {
    Registers,
    Memory,
    Unknown,
}

/// Gives each half of a value the class of what is in it.
fn classify(
    ty: &Arc<Type>,
    offset: u64,
    types: &dyn ResolveType,
    halves: &mut [Half; 2],
    budget: &mut usize,
) -> Classified {
    let (Ok(ty), Some(left)) = (types.strip(ty), budget.checked_sub(1)) else {
        return Classified::Unknown;
    };
    *budget = left;
    let Some(size) = ty.size else { return Classified::Unknown };
    match &ty.kind {
        TypeKind::Base(BaseKind::Float) if size > 8 => put_both([Half::X87; 2], offset, halves),
        TypeKind::Base(BaseKind::Quad) => put_both([Half::Vector, Half::Upper], offset, halves),
        TypeKind::Base(BaseKind::Float) => put(Half::Vector, offset, size, halves),
        TypeKind::Base(_) | TypeKind::Pointer { .. } | TypeKind::Enum { .. } => {
            put(Half::General, offset, size, halves)
        }
        TypeKind::Complex(part) => {
            let class = if *part == BaseKind::Float { Half::Vector } else { Half::General };
            let half = size / 2;
            all([0, half].into_iter().map(|at| put(class, offset.saturating_add(at), half, halves)))
        }
        // Itanium C++ ABI, 2.3: a word, or two for functions.
        TypeKind::MemberPointer { .. } => {
            let words = 0..(size / 8).min(2);
            all(words.map(|word| put(Half::General, offset.saturating_add(word * 8), 8, halves)))
        }
        TypeKind::Array { element, count: Count::Known(count) } => {
            let Ok(element) = types.follow(element) else { return Classified::Unknown };
            let step = types.strip(&element).ok().and_then(|ty| ty.size).unwrap_or(0);
            let at = |index: u64| offset.saturating_add(index.saturating_mul(step));
            let indices = 0..(*count).min(MAX_SIZE);
            all(indices.map(|index| classify(&element, at(index), types, halves, budget)))
        }
        TypeKind::Record(record) => {
            let is_sum = matches!(record.flavour, RecordFlavour::Variants { .. });
            if is_sum || !record.virtual_bases.is_empty() || record.declaration {
                return Classified::Unknown;
            }
            let member = |member| classify_member(member, offset, types, halves, budget);
            all(record.members.iter().map(member))
        }
        _ => Classified::Unknown,
    }
}

fn classify_member(
    member: &Member,
    offset: u64,
    types: &dyn ResolveType,
    halves: &mut [Half; 2],
    budget: &mut usize,
) -> Classified {
    let Ok(ty) = types.follow(&member.ty) else { return Classified::Unknown };
    let at = offset.saturating_add(member.offset);
    let Some(bits) = member.bits else { return classify(&ty, at, types, halves, budget) };
    // Of bits only those bytes count that they are in.
    let last_bit = bits.shift.saturating_add(bits.width.max(1) - 1);
    let bytes = u64::from(bits.shift / 8)..=u64::from(last_bit / 8);
    all(bytes.map(|byte| put(Half::General, at.saturating_add(byte), 1, halves)))
}

/// The first that is not in registers, if any.
fn all(mut parts: impl Iterator<Item = Classified>) -> Classified {
    let other = parts.find(|part| !matches!(part, Classified::Registers));
    other.unwrap_or(Classified::Registers)
}

/// A scalar at an offset: general registers win over others in the same half;
/// what is not aligned to its size is in memory.
fn put(class: Half, offset: u64, size: u64, halves: &mut [Half; 2]) -> Classified {
    if size == 0 {
        return Classified::Registers;
    }
    if !offset.is_multiple_of(size) {
        return Classified::Memory;
    }
    let last = offset.saturating_add(size - 1);
    for half in offset / 8..=last / 8 {
        let Some(half) = usize::try_from(half).ok().and_then(|half| halves.get_mut(half)) else {
            return Classified::Memory;
        };
        if *half == Half::X87 {
            return Classified::Memory;
        }
        *half = if *half == Half::General { Half::General } else { class };
    }
    Classified::Registers
}

/// A scalar that takes both halves; with others beside it, in a union, it is in
/// memory.
fn put_both(classes: [Half; 2], offset: u64, halves: &mut [Half; 2]) -> Classified {
    if offset != 0 || (*halves != [Half::None; 2] && *halves != classes) {
        return Classified::Memory;
    }
    *halves = classes;
    Classified::Registers
}

#[cfg(test)]
mod tests {
    use trapline_core::types::{BitField, Record, TypeLink, TypeRef};

    use super::*;

    struct NoTypes;

    impl ResolveType for NoTypes {
        fn resolve(&self, _: TypeRef) -> Result<Arc<Type>, String> {
            Err("no types".to_owned())
        }
    }

    fn base(kind: BaseKind, size: u64) -> Arc<Type> {
        Arc::new(Type::base("", kind, size))
    }

    fn record(size: u64, members: &[(u64, &Arc<Type>, Option<BitField>)]) -> Arc<Type> {
        let member = |&(offset, ty, bits): &(u64, &Arc<Type>, Option<BitField>)| Member {
            name: "m".to_owned(),
            ty: TypeLink::Known(ty.clone()),
            offset,
            bits,
            base_class: false,
            variant: None,
        };
        let record = Record {
            flavour: RecordFlavour::Struct,
            language: trapline_core::types::Language::C,
            members: members.iter().map(member).collect(),
            statics: Vec::new(),
            virtual_bases: Vec::new(),
            virtual_functions: Vec::new(),
            declaration: false,
            arguments: Vec::new(),
        };
        Arc::new(Type { name: String::new(), size: Some(size), kind: TypeKind::Record(record) })
    }

    #[test]
    fn each_half_has_the_class_of_its_members() {
        let int = base(BaseKind::Signed, 4);
        let long = base(BaseKind::Signed, 8);
        let float = base(BaseKind::Float, 4);
        let double = base(BaseKind::Float, 8);
        let extended = base(BaseKind::Float, 16);
        let registers = |first, second| Some(Place::Registers([first, second]));
        let check = |ty: &Arc<Type>, expected: Option<Place>| {
            assert_eq!(place(ty, &NoTypes), expected, "{ty:?}");
        };
        check(&int, registers(Half::General, Half::None));
        check(&double, registers(Half::Vector, Half::None));
        check(&extended, Some(Place::X87(1)));
        check(&base(BaseKind::Quad, 16), registers(Half::Vector, Half::Upper));
        check(&record(0, &[]), registers(Half::None, Half::None));
        check(
            &record(8, &[(0, &float, None), (4, &float, None)]),
            registers(Half::Vector, Half::None),
        );
        check(
            &record(8, &[(0, &float, None), (4, &int, None)]),
            registers(Half::General, Half::None),
        );
        check(
            &record(16, &[(0, &long, None), (8, &double, None)]),
            registers(Half::General, Half::Vector),
        );
        check(
            &record(16, &[(0, &double, None), (8, &int, None)]),
            registers(Half::Vector, Half::General),
        );
        check(&record(24, &[(0, &long, None)]), Some(Place::Memory));
        check(&record(12, &[(0, &int, None), (1, &float, None)]), Some(Place::Memory));
        check(&record(16, &[(0, &extended, None)]), Some(Place::X87(1)));
        check(&record(16, &[(0, &extended, None), (0, &int, None)]), Some(Place::Memory));
        check(&record(16, &[(0, &int, None), (0, &extended, None)]), Some(Place::Memory));
        let bits = Some(BitField { shift: 3, width: 5 });
        check(&record(4, &[(0, &int, bits)]), registers(Half::General, Half::None));
        let inner = record(8, &[(0, &double, None)]);
        check(
            &record(16, &[(0, &inner, None), (8, &inner, None)]),
            registers(Half::Vector, Half::Vector),
        );
        let floats = Arc::new(Type::array_of(TypeLink::Known(float), 4, 3));
        check(&record(12, &[(0, &floats, None)]), registers(Half::Vector, Half::Vector));
    }
}
