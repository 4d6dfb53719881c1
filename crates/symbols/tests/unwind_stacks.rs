//! Unwinding real stacks: the frames gdb finds, with the registers it finds
//! in them.

mod values_support;

use std::path::PathBuf;

use trapline_core::memory::{Bytes, ReadMemory};
use trapline_core::x64::Reg;
use trapline_core::{LoadBias, ModuleId, VirtAddr};
use trapline_symbols::{
    FrameRegisters, Image, LoadOptions, PcKind, UnwindError, Unwound, unwind_without_cfi,
};
use values_support::{compile, gdb, hex};

/// Where Linux puts the end of the stack when gdb turns randomization off.
const STACK_END: u64 = 0x7fff_ffff_f000;

const COMPARED: [Reg; 8] =
    [Reg::Rip, Reg::Rsp, Reg::Rbx, Reg::Rbp, Reg::R12, Reg::R13, Reg::R14, Reg::R15];

/// A recorded stop: gdb's frames, the stack, and what was loaded where.
struct Stop {
    frames: Vec<FrameRegisters>,
    stack: Bytes,
    modules: Vec<(u64, u64, LoadBias, Image)>,
}

fn record(flags: &[&str]) -> Stop {
    let program = compile("stacks.c", flags);
    let dump = program.with_extension("stack");
    let mut commands: Vec<String> = vec![
        "set backtrace past-main on".into(),
        "handle SIGUSR1 nostop noprint pass".into(),
        "break innermost".into(),
        "run".into(),
        "info proc mappings".into(),
        format!("dump binary memory {} $rsp-128 {STACK_END:#x}", dump.display()),
        "printf \"stack %#lx\\n\", $rsp-128".into(),
    ];
    for _ in 0..20 {
        commands.push("echo frame\\n".into());
        let names: Vec<_> = Reg::general().chain([Reg::Rip]).map(Reg::name).collect();
        commands.push(format!("info registers {}", names.join(" ")));
        commands.push("up-silently".into());
    }
    let said = gdb(&program, &commands);
    let start = said.lines().find_map(|line| hex(line.strip_prefix("stack ")?)).expect("a stop");
    let stack = Bytes {
        start: VirtAddr::new(start),
        data: std::fs::read(&dump).expect("gdb dumped the stack"),
    };
    Stop { frames: parse_frames(&said), stack, modules: parse_modules(&said) }
}

fn parse_frames(said: &str) -> Vec<FrameRegisters> {
    let mut frames: Vec<FrameRegisters> = Vec::new();
    for part in said.split("frame\n").skip(1) {
        let mut frame = FrameRegisters::default();
        for line in part.lines() {
            let value = line.split_whitespace().nth(1).and_then(hex);
            if let (Some(reg), Some(value)) = (exact(line), value) {
                frame.set(reg, Some(value));
            }
        }
        // Past the outermost frame gdb stays where it is.
        if frames.last() != Some(&frame) {
            frames.push(frame);
        }
    }
    frames
}

/// The register whose full name starts the line.
fn exact(line: &str) -> Option<Reg> {
    let name = line.split_whitespace().next()?;
    Reg::general().chain([Reg::Rip]).find(|reg| reg.name() == name)
}

fn parse_modules(said: &str) -> Vec<(u64, u64, LoadBias, Image)> {
    let mut modules: Vec<(PathBuf, u64, u64)> = Vec::new();
    for line in said.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let (Some(start), Some(end), Some(path)) = (
            words.first().and_then(|word| hex(word)),
            words.get(1).and_then(|word| hex(word)),
            words.last().filter(|word| word.starts_with('/')).map(PathBuf::from),
        ) else {
            continue;
        };
        match modules.iter_mut().find(|module| module.0 == path) {
            Some(module) => module.2 = module.2.max(end),
            None => modules.push((path, start, end)),
        }
    }
    let load = |(path, start, end): (PathBuf, u64, u64)| {
        let image = Image::load(&path, ModuleId::new(1), &LoadOptions::default()).ok()?;
        let bias = LoadBias::between(image.image_range().0, VirtAddr::new(start));
        Some((start, end, bias, image))
    };
    modules.into_iter().filter_map(load).collect()
}

/// The stack as recorded, code as the files have it.
impl ReadMemory for Stop {
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        let read = self.stack.read_some(addr, buf);
        if read > 0 {
            return read;
        }
        let mut loaded = self.modules.iter();
        let module = loaded.find(|(start, end, ..)| (*start..*end).contains(&addr.get()));
        module.map_or(0, |(.., bias, image)| image.read_static(bias.to_image(addr), buf))
    }
}

impl Stop {
    fn caller(&self, frame: &FrameRegisters, kind: PcKind) -> Result<Option<Unwound>, UnwindError> {
        let pc = frame.get(Reg::Rip).expect("a frame has a pc");
        let (.., bias, image) = self
            .modules
            .iter()
            .find(|(start, end, ..)| (*start..*end).contains(&pc))
            .unwrap_or_else(|| panic!("{pc:#x} is in no module"));
        image.unwind_frame(bias.to_image(VirtAddr::new(pc)), kind, *bias, frame, self)
    }

    /// Walks from gdb's innermost frame and compares every frame above.
    fn check(&self) {
        assert!(self.frames.len() >= 10, "gdb found {} frames", self.frames.len());
        let (mut frame, mut kind, mut signals) = (self.frames[0], PcKind::Exact, 0);
        for (level, expected) in self.frames.iter().enumerate().skip(1) {
            let unwound = self
                .caller(&frame, kind)
                .unwrap_or_else(|error| panic!("frame {level}: {error}"))
                .unwrap_or_else(|| panic!("frame {level} is missing"));
            for reg in COMPARED {
                let (ours, theirs) = (unwound.registers.get(reg), expected.get(reg));
                assert_eq!(ours, theirs, "{reg} of frame {level}");
            }
            assert!(!unwound.guess);
            signals += u32::from(unwound.signal_frame);
            kind = if unwound.signal_frame { PcKind::Exact } else { PcKind::ReturnAddress };
            frame = unwound.registers;
        }
        assert_eq!(self.caller(&frame, kind), Ok(None), "nothing above gdb's outermost frame");
        assert_eq!(signals, 1);
    }
}

#[test]
fn every_frame_and_register_is_gdbs() {
    for flags in [
        &["-g", "-O0"][..],
        &["-g", "-O2", "-fno-optimize-sibling-calls"],
        &["-g", "-O2", "-fno-optimize-sibling-calls", "-no-pie", "-static"],
        &["-O2", "-fno-optimize-sibling-calls", "-Wl,--no-eh-frame-hdr"],
        &["-g", "-O2", "-fno-optimize-sibling-calls", "-fno-asynchronous-unwind-tables"],
    ] {
        record(flags).check();
    }
}

#[test]
fn a_damaged_stack_is_an_error_and_never_a_loop() {
    let mut stop = record(&["-g", "-O0"]);
    let whole = stop.stack.clone();
    for keep in (0..whole.data.len().min(4096)).step_by(97) {
        stop.stack.data.truncate(0);
        stop.stack.data.extend_from_slice(&whole.data[..keep]);
        let (mut frame, mut kind) = (stop.frames[0], PcKind::Exact);
        for level in 0.. {
            assert!(level < 64, "the walk goes on for ever with {keep} bytes of stack");
            match stop.caller(&frame, kind) {
                Ok(Some(up)) => (frame, kind) = (up.registers, PcKind::ReturnAddress),
                Ok(None) | Err(_) => break,
            }
        }
    }
}

#[test]
fn frame_pointers_lead_the_same_way_without_cfi() {
    let stop = record(&["-g", "-O0"]);
    // `innermost` called by `handler`: both keep frame pointers.
    let unwound = unwind_without_cfi(&stop.frames[0], PcKind::Exact, None, &stop);
    let caller = unwound.expect("a believable frame").expect("not the outermost");
    for reg in [Reg::Rip, Reg::Rsp, Reg::Rbp] {
        assert_eq!(caller.registers.get(reg), stop.frames[1].get(reg), "{reg}");
    }
    assert!(caller.guess);
}

#[test]
fn the_frame_address_rule_is_a_program() {
    let stop = record(&["-g", "-O2"]);
    let (.., bias, image) = &stop.modules[0];
    let pc = bias.to_image(VirtAddr::new(stop.frames[0].get(Reg::Rip).expect("pc")));
    let rule = image.cfa_rule_at(pc).expect("a rule");
    let unwound = stop.caller(&stop.frames[0], PcKind::Exact).expect("unwinds").expect("a caller");
    struct Recorded<'a>(&'a Stop);
    impl ReadMemory for Recorded<'_> {
        fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
            self.0.read_some(addr, buf)
        }
    }
    impl trapline_core::location::Frame for Recorded<'_> {
        fn register(&self, reg: Reg) -> Result<u64, String> {
            self.0.frames[0].get(reg).ok_or_else(|| "not known".to_owned())
        }
        fn tls_address(&self, _: ModuleId, _: u64) -> Result<VirtAddr, String> {
            Err("no thread".to_owned())
        }
    }
    assert_eq!(trapline_core::location::run(&rule, &Recorded(&stop)), Ok(unwound.cfa));
}
