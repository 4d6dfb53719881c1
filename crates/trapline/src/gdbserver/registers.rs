//! The registers as gdb and lldb number them, where each is in a thread's
//! state, and the description of them that a client is sent. The numbers and
//! feature names are those of gdbserver for x86-64 (GDB manual, "i386
//! Features").

use std::fmt::Write;

use trapline_core::x64::{Component, ExtendedLayout, ExtendedReg, ExtendedState, Reg, Registers};

/// A register's place in the state of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// Among the integer ones, of which so many bytes are shown.
    Integer(Reg, usize),
    /// Among the others.
    Extended(ExtendedReg, usize),
}

/// One register; its number is its place in the file.
struct Entry {
    name: String,
    /// gdb's name of its type.
    ty: &'static str,
    group: Option<&'static str>,
    source: Source,
}

impl Entry {
    fn size(&self) -> usize {
        match self.source {
            Source::Integer(_, size) | Source::Extended(_, size) => size,
        }
    }
}

/// A feature of the description: registers that a processor has together.
struct Feature {
    name: &'static str,
    /// Definitions of types that its registers have.
    types: String,
    /// Its registers, by number.
    numbers: std::ops::Range<usize>,
}

/// Whose words the description is in: lldb calls the flags by their long name;
/// and it shows what a register points to by itself, and a second time where its
/// type says that it points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dialect {
    Gdb,
    Lldb,
}

/// All registers that the processor has.
pub(super) struct RegisterFile {
    entries: Vec<Entry>,
    features: Vec<Feature>,
}

/// The state of a thread, of which the second part is read only where it is
/// asked for.
pub(super) struct State {
    pub(super) integer: Registers,
    pub(super) extended: Option<ExtendedState>,
}

impl RegisterFile {
    /// The registers of a processor with these components.
    pub(super) fn new(layout: &ExtendedLayout) -> Self {
        let mut file = Self { entries: Vec::new(), features: Vec::new() };
        file.feature("core", EFLAGS.flags("i386_eflags"), core());
        file.feature("sse", vec128() + &MXCSR.flags("i386_mxcsr"), sse());
        file.feature("linux", String::new(), vec![integer(Reg::OrigRax, 8, "int")]);
        let bases = [Reg::FsBase, Reg::GsBase].map(|reg| integer(reg, 8, "int"));
        file.feature("segments", String::new(), bases.into());
        if layout.has(Component::Avx) {
            let high = |index| (format!("ymm{index}h"), ExtendedReg::YmmHigh(index));
            file.feature("avx", String::new(), bank(0..16, high, 16, "uint128"));
        }
        let avx512 = [Component::Mask, Component::ZmmHigh, Component::Zmm16];
        if avx512.iter().all(|component| layout.has(*component)) {
            let types = vec128() + "    <vector id=\"v2ui128\" type=\"uint128\" count=\"2\"/>\n";
            file.feature("avx512", types, self::avx512());
        }
        if layout.has(Component::Pkru) {
            let pkru = extended("pkru".to_owned(), ExtendedReg::Pkru, 4, "uint32", None);
            file.feature("pkeys", String::new(), vec![pkru]);
        }
        file
    }

    fn feature(&mut self, name: &'static str, types: String, entries: Vec<Entry>) {
        let first = self.entries.len();
        self.entries.extend(entries);
        self.features.push(Feature { name, types, numbers: first..self.entries.len() });
    }

    /// The description, as `target.xml`.
    pub(super) fn description(&self, dialect: Dialect) -> String {
        let mut xml = String::from(
            "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target>\n  \
             <architecture>i386:x86-64</architecture>\n  <osabi>GNU/Linux</osabi>\n",
        );
        for Feature { name, types, numbers } in &self.features {
            // Writing to a string does not fail.
            let _ = writeln!(xml, "  <feature name=\"org.gnu.gdb.i386.{name}\">");
            xml.push_str(types);
            for (number, entry) in numbers.clone().zip(&self.entries[numbers.clone()]) {
                xml.push_str(&entry.element(number, dialect));
            }
            xml.push_str("  </feature>\n");
        }
        xml.push_str("</target>\n");
        xml
    }

    /// Whether a register is beside the integer ones.
    pub(super) fn is_extended(&self, number: u32) -> bool {
        let entry = usize::try_from(number).ok().and_then(|number| self.entries.get(number));
        entry.is_some_and(|entry| matches!(entry.source, Source::Extended(..)))
    }

    /// The value of a register, little-endian; `None` for a number that no
    /// register has. One that cannot be read has no bytes.
    pub(super) fn get(&self, number: u32, state: &State) -> Option<Vec<u8>> {
        let entry = self.entries.get(usize::try_from(number).ok()?)?;
        Some(entry.value(state).unwrap_or_default())
    }

    /// The values of all, as `g` has them: those that cannot be read are `x`es.
    pub(super) fn all(&self, state: &State) -> String {
        let one = |entry: &Entry| match entry.value(state) {
            Some(bytes) => trapline_rsp::hex::encode(&bytes),
            None => "xx".repeat(entry.size()),
        };
        self.entries.iter().map(one).collect()
    }

    /// Changes a register; `false` for a wrong number or size.
    pub(super) fn set(&self, number: u32, value: &[u8], state: &mut State) -> bool {
        let entry = usize::try_from(number).ok().and_then(|number| self.entries.get(number));
        entry.is_some_and(|entry| entry.put(value, state))
    }

    /// Changes all that there are bytes for.
    pub(super) fn set_all(&self, mut values: &[u8], state: &mut State) -> bool {
        for entry in &self.entries {
            let Some((value, rest)) = values.split_at_checked(entry.size()) else {
                return values.is_empty();
            };
            if !entry.put(value, state) {
                return false;
            }
            values = rest;
        }
        values.is_empty()
    }

    /// The number of the register that agent expressions and clients mean by it.
    pub(super) fn by_number(&self, number: u16) -> Option<Reg> {
        match self.entries.get(usize::from(number))?.source {
            Source::Integer(reg, _) => Some(reg),
            Source::Extended(..) => None,
        }
    }
}

impl Entry {
    fn element(&self, number: usize, dialect: Dialect) -> String {
        let Self { name, ty, .. } = self;
        let ty = match (*ty, dialect) {
            ("code_ptr" | "data_ptr", Dialect::Lldb) => "int",
            (ty, _) => ty,
        };
        let name = match (name.as_str(), dialect) {
            ("eflags", Dialect::Lldb) => "rflags",
            (name, _) => name,
        };
        let bits = 8 * self.size();
        let group = self.group.map_or(String::new(), |group| format!(" group=\"{group}\""));
        format!(
            "    <reg name=\"{name}\" bitsize=\"{bits}\" type=\"{ty}\" regnum=\"{number}\"{group}/>\n"
        )
    }

    fn value(&self, state: &State) -> Option<Vec<u8>> {
        match self.source {
            Source::Integer(reg, size) => {
                Some(state.integer.get(reg)?.to_le_bytes()[..size].to_vec())
            }
            Source::Extended(reg, _) => state.extended.as_ref()?.get(reg),
        }
    }

    fn put(&self, value: &[u8], state: &mut State) -> bool {
        match self.source {
            Source::Integer(reg, size) => {
                let mut word = [0; 8];
                if value.len() != size {
                    return false;
                }
                word[..size].copy_from_slice(value);
                state.integer.set(reg, u64::from_le_bytes(word))
            }
            Source::Extended(reg, _) => {
                state.extended.as_mut().is_some_and(|state| state.set(reg, value))
            }
        }
    }
}

fn integer(reg: Reg, size: usize, ty: &'static str) -> Entry {
    Entry { name: reg.name().to_owned(), ty, group: None, source: Source::Integer(reg, size) }
}

fn extended(
    name: String,
    reg: ExtendedReg,
    size: usize,
    ty: &'static str,
    group: Option<&'static str>,
) -> Entry {
    Entry { name, ty, group, source: Source::Extended(reg, size) }
}

fn bank(
    indices: std::ops::Range<u8>,
    named: impl Fn(u8) -> (String, ExtendedReg),
    size: usize,
    ty: &'static str,
) -> Vec<Entry> {
    let one = |index| {
        let (name, reg) = named(index);
        extended(name, reg, size, ty, None)
    };
    indices.map(one).collect()
}

fn core() -> Vec<Entry> {
    use Reg::{
        Cs, Ds, Es, Fs, Gs, R8, R9, R10, R11, R12, R13, R14, R15, Rax, Rbp, Rbx, Rcx, Rdi, Rdx,
        Rflags, Rip, Rsi, Rsp, Ss,
    };
    let general = [Rax, Rbx, Rcx, Rdx, Rsi, Rdi].map(|reg| integer(reg, 8, "int64"));
    let stack = [Rbp, Rsp].map(|reg| integer(reg, 8, "data_ptr"));
    let numbered = [R8, R9, R10, R11, R12, R13, R14, R15].map(|reg| integer(reg, 8, "int64"));
    let control = [integer(Rip, 8, "code_ptr"), integer(Rflags, 4, "i386_eflags")];
    let segments = [Cs, Ss, Ds, Es, Fs, Gs].map(|reg| integer(reg, 4, "int32"));
    let stack_of_floats =
        bank(0..8, |index| (format!("st{index}"), ExtendedReg::St(index)), 10, "i387_ext");
    let floats = [
        ("fctrl", ExtendedReg::Fctrl),
        ("fstat", ExtendedReg::Fstat),
        ("ftag", ExtendedReg::Ftag),
        ("fiseg", ExtendedReg::Fiseg),
        ("fioff", ExtendedReg::Fioff),
        ("foseg", ExtendedReg::Foseg),
        ("fooff", ExtendedReg::Fooff),
        ("fop", ExtendedReg::Fop),
    ]
    .map(|(name, reg)| extended(name.to_owned(), reg, 4, "int", Some("float")));
    let all = general.into_iter().chain(stack).chain(numbered).chain(control).chain(segments);
    all.chain(stack_of_floats).chain(floats).collect()
}

fn sse() -> Vec<Entry> {
    let mut all =
        bank(0..16, |index| (format!("xmm{index}"), ExtendedReg::Xmm(index)), 16, "vec128");
    let mxcsr = ("mxcsr".to_owned(), ExtendedReg::Mxcsr);
    all.push(extended(mxcsr.0, mxcsr.1, 4, "i386_mxcsr", Some("vector")));
    all
}

fn avx512() -> Vec<Entry> {
    let xmm = bank(16..32, |index| (format!("xmm{index}"), ExtendedReg::Xmm(index)), 16, "vec128");
    let ymm = |index| (format!("ymm{index}h"), ExtendedReg::YmmHigh(index));
    let ymm = bank(16..32, ymm, 16, "uint128");
    let masks = bank(0..8, |index| (format!("k{index}"), ExtendedReg::K(index)), 8, "uint64");
    let zmm = |index| (format!("zmm{index}h"), ExtendedReg::ZmmHigh(index));
    xmm.into_iter().chain(ymm).chain(masks).chain(bank(0..32, zmm, 32, "v2ui128")).collect()
}

/// The bits of a register that have names.
struct Bits(&'static [(&'static str, u8)]);

/// Intel SDM volume 1, section 3.4.3. The second bit is always set.
const EFLAGS: Bits = Bits(&[
    ("CF", 0),
    ("", 1),
    ("PF", 2),
    ("AF", 4),
    ("ZF", 6),
    ("SF", 7),
    ("TF", 8),
    ("IF", 9),
    ("DF", 10),
    ("OF", 11),
    ("NT", 14),
    ("RF", 16),
    ("VM", 17),
    ("AC", 18),
    ("VIF", 19),
    ("VIP", 20),
    ("ID", 21),
]);

/// Intel SDM volume 1, section 10.2.3.
const MXCSR: Bits = Bits(&[
    ("IE", 0),
    ("DE", 1),
    ("ZE", 2),
    ("OE", 3),
    ("UE", 4),
    ("PE", 5),
    ("DAZ", 6),
    ("IM", 7),
    ("DM", 8),
    ("ZM", 9),
    ("OM", 10),
    ("UM", 11),
    ("PM", 12),
    ("FZ", 15),
]);

impl Bits {
    fn flags(&self, id: &str) -> String {
        let field = |(name, bit): &(&str, u8)| {
            format!("      <field name=\"{name}\" start=\"{bit}\" end=\"{bit}\" type=\"bool\"/>\n")
        };
        let fields: String = self.0.iter().map(field).collect();
        format!("    <flags id=\"{id}\" size=\"4\">\n{fields}    </flags>\n")
    }
}

/// What a vector register of 16 bytes may hold.
fn vec128() -> String {
    const VECTORS: [(&str, &str, &str, u8); 8] = [
        ("v8_bfloat16", "v8bf16", "bfloat16", 8),
        ("v8_half", "v8h", "ieee_half", 8),
        ("v4_float", "v4f", "ieee_single", 4),
        ("v2_double", "v2d", "ieee_double", 2),
        ("v16_int8", "v16i8", "int8", 16),
        ("v8_int16", "v8i16", "int16", 8),
        ("v4_int32", "v4i32", "int32", 4),
        ("v2_int64", "v2i64", "int64", 2),
    ];
    let mut xml = String::new();
    for (_, id, of, count) in VECTORS {
        let _ = writeln!(xml, "    <vector id=\"{id}\" type=\"{of}\" count=\"{count}\"/>");
    }
    xml.push_str("    <union id=\"vec128\">\n");
    for (name, id, ..) in VECTORS {
        let _ = writeln!(xml, "      <field name=\"{name}\" type=\"{id}\"/>");
    }
    xml + "      <field name=\"uint128\" type=\"uint128\"/>\n    </union>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> ExtendedLayout {
        ExtendedLayout::default()
            .with(Component::Avx, 576)
            .with(Component::Mask, 1088)
            .with(Component::ZmmHigh, 1152)
            .with(Component::Zmm16, 1664)
    }

    fn state() -> State {
        let integer = Registers { rip: 0x1234, ..Registers::default() };
        State { integer, extended: ExtendedState::new(vec![0; 2688], layout()) }
    }

    #[test]
    fn the_numbers_are_those_that_clients_know() {
        let file = RegisterFile::new(&layout());
        let check = |name: &str, number: usize| {
            assert_eq!(file.entries[number].name, name);
        };
        check("rax", 0);
        check("rip", 16);
        check("st0", 24);
        check("xmm0", 40);
        check("mxcsr", 56);
        check("orig_rax", 57);
        check("fs_base", 58);
        check("ymm0h", 60);
        check("xmm16", 76);
        check("k0", 108);
        check("zmm0h", 116);
        check("zmm31h", 147);
        assert_eq!(file.entries.len(), 148);
        assert_eq!(RegisterFile::new(&ExtendedLayout::default()).entries.len(), 60);
    }

    #[test]
    fn what_is_set_is_read_back() {
        let file = RegisterFile::new(&layout());
        let mut state = state();
        for number in 0..148 {
            let value = file.get(number, &state).unwrap();
            assert!(file.set(number, &value, &mut state), "{number}");
            assert!(!file.set(number, &value[1..], &mut state), "{number}");
        }
        assert_eq!(file.get(16, &state), Some(vec![0x34, 0x12, 0, 0, 0, 0, 0, 0]));
        assert_eq!(file.get(148, &state), None);
        let all = trapline_rsp::hex::decode(file.all(&state).as_bytes()).unwrap();
        assert!(file.set_all(&all, &mut state));
        assert!(file.set_all(&all[..8], &mut state));
        assert!(!file.set_all(&all[..9], &mut state));
    }

    #[test]
    fn what_cannot_be_read_is_said_to_be_so() {
        let file = RegisterFile::new(&ExtendedLayout::default());
        let state = State { extended: None, ..state() };
        assert!(file.all(&state).ends_with("0000"));
        assert!(file.all(&state).contains("xxxx"));
        assert_eq!(file.get(40, &state), Some(Vec::new()));
    }
}
