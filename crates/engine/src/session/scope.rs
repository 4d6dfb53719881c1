//! What the names of an expression mean at a place in code: the function's
//! variables, those of the images, types. Evaluating is left to `values`.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::location::{self, Place};
use trapline_core::types::{
    Count, Language, ResolveType, StaticMember, Type, TypeKind, TypeLink, TypeRef,
};
use trapline_core::x64::Reg;
use trapline_expr::{Binding, OPTIMIZED_OUT, Path, Scope, Value, Views};
use trapline_symbols::{
    Function, Global, LocalName, Near, PcKind, StaticMemberPlace, SymbolHit, SymbolKind,
    TemplateParameter, Variable,
};

use super::activations::Fate;
use super::lengths::Lengths;
use super::values::Known;
use crate::space::{Module, Modules};

/// Why a variable of a function that ended in a tail call may have no value.
const JUMPED: &str = "what its function kept on the stack is gone: it ended in a jump to another";

/// Types in one another whose sizes are worked out.
const MAX_MEASURED: usize = 32;

/// A place in code, which decides which scopes are open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodePlace {
    /// Where it is, and what that is to a frame.
    pub(super) pc: VirtAddr,
    pub(super) kind: PcKind,
    /// How many of the inlined calls around it a frame is within, of which it
    /// sees the innermost's variables; `None` is no frame, and sees all, the
    /// innermost of a name first.
    pub(super) depth: Option<u32>,
    /// Whether what the function kept on the stack is still there.
    pub(super) fate: Fate,
}

impl From<VirtAddr> for CodePlace {
    fn from(pc: VirtAddr) -> Self {
        Self { pc, kind: PcKind::Exact, depth: None, fate: Fate::OnStack }
    }
}

impl CodePlace {
    /// The address that decides which image and function it is in.
    pub(super) fn lookup(self) -> VirtAddr {
        match self.kind {
            PcKind::Exact => self.pc,
            PcKind::ReturnAddress => self.pc.wrapping_sub(1),
        }
    }
}

/// What a name means among those of the place's own image.
enum Visible {
    Value(Binding),
    /// A type, which hides what is further away.
    Type,
    Nothing,
}

/// The names visible at one place in code.
pub(crate) struct CodeScope<'a> {
    modules: &'a Modules,
    /// `None` sees globals only.
    place: Option<CodePlace>,
    known: &'a Known,
    /// The lengths of arrays in the frame; `None` where there is none.
    lengths: Option<&'a Lengths>,
    /// What every plain name means, when one variable is asked for.
    only: Option<&'a Variable>,
    /// Whether a name was found that lives and dies with its frame.
    used_frame: Cell<bool>,
    /// Whether a name was found whose address is right in this memory only.
    rooted: Cell<bool>,
    /// How many types in one another are being measured.
    depth: Cell<usize>,
    /// What surrounds the place, once it was asked for.
    near: OnceCell<Option<Near>>,
}

impl<'a> CodeScope<'a> {
    /// The scope of a frame, or of the instruction at an address.
    pub(crate) fn at(modules: &'a Modules, place: impl Into<CodePlace>, known: &'a Known) -> Self {
        Self::at_place_of(modules, Some(place.into()), known)
    }

    /// What it knows besides the program.
    pub(crate) fn known(&self) -> &Known {
        self.known
    }

    /// The scope of a frame, or of no frame.
    pub(crate) fn at_place_of(
        modules: &'a Modules,
        place: Option<CodePlace>,
        known: &'a Known,
    ) -> Self {
        let (used_frame, rooted) = (Cell::new(false), Cell::new(false));
        let (depth, near) = (Cell::new(0), OnceCell::new());
        Self { modules, place, known, lengths: None, only: None, used_frame, rooted, depth, near }
    }

    /// The same, with the lengths of arrays in a frame.
    pub(super) fn measured_by(self, lengths: &'a Lengths) -> Self {
        Self { lengths: Some(lengths), ..self }
    }

    /// The same without them.
    pub(super) fn unmeasured(self) -> Self {
        Self { lengths: None, ..self }
    }

    /// The same, every plain name being that of one variable.
    pub(super) fn of_one(self, variable: &'a Variable) -> Self {
        Self { only: Some(variable), ..self }
    }

    /// Whether what was found so far lives and dies with its frame.
    pub(super) fn used_frame(&self) -> bool {
        self.used_frame.get()
    }

    /// Whether what was found so far holds addresses of this memory, so that
    /// it means nothing in another.
    pub(crate) fn is_rooted(&self) -> bool {
        self.rooted.get()
    }

    fn here(&self) -> Option<(&'a Module, CodePlace)> {
        let place = self.place?;
        Some((self.modules.at(place.lookup())?, place))
    }

    /// The images, that of the place itself first.
    fn nearest_first(&self) -> impl Iterator<Item = &'a Module> {
        let here = self.here().map(|(module, _)| module);
        let others = self.modules.in_load_order();
        here.into_iter()
            .chain(others.filter(move |module| here.is_none_or(|h| h.id() != module.id())))
    }

    /// The function's variable of a name, and its image.
    fn local_named(&self, name: &str) -> Option<(&'a Module, Variable)> {
        let (module, place) = self.here()?;
        if let Some(only) = self.only {
            return Some((module, only.clone()));
        }
        let variables =
            module.image.variables_named_at(module.to_image(place.pc), place.kind, name);
        let found = variables.into_iter().find(|variable| is_seen(place, variable))?;
        Some((module, found))
    }

    /// A type whose arrays have their lengths in the frame, as far as they are
    /// known.
    fn measured(&self, ty: Arc<Type>) -> Result<Arc<Type>, String> {
        if ty.size.is_some() {
            return Ok(ty);
        }
        let (kind, size) = match &ty.kind {
            TypeKind::Alias { flavour, target: Some(target) } => {
                let target = self.follow(target)?;
                let size = target.size;
                let target = Some(TypeLink::Known(target));
                (TypeKind::Alias { flavour: *flavour, target }, size)
            }
            TypeKind::Array { element, count } => {
                let element = self.follow(element).and_then(|element| self.measured(element))?;
                let count = match (*count, self.lengths) {
                    (Count::Computed(array), Some(lengths)) => lengths.of(array),
                    (count, _) => count,
                };
                let size = self.strip(&element)?.size.zip(count.known());
                let size = size.and_then(|(size, count)| size.checked_mul(count));
                (TypeKind::Array { element: TypeLink::Known(element), count }, size)
            }
            _ => return Ok(ty),
        };
        Ok(if size.is_some() { Arc::new(Type { name: ty.name.clone(), size, kind }) } else { ty })
    }

    fn local(&self, path: &Path) -> Result<Option<Binding>, String> {
        let local = path.as_simple().and_then(|name| self.local_named(name));
        let Some((module, mut variable)) = local else { return Ok(None) };
        let on_stack = self.place.is_none_or(|place| place.fate == Fate::OnStack);
        if !on_stack && is_on_stack(&variable.place) {
            variable.place = Place::Unavailable(JUMPED.into());
        }
        if !is_static(&variable.place) {
            self.used_frame.set(true);
        }
        self.bound(module, &variable.ty, variable.place).map(Some)
    }

    fn bound(
        &self,
        module: &Module,
        ty: &trapline_core::types::TypeLink,
        mut place: Place,
    ) -> Result<Binding, String> {
        if location::relocate(&mut place, module.bias) {
            self.rooted.set(true);
        }
        Ok(Binding::Variable { ty: self.follow(ty)?, place })
    }

    /// Whether a source file is the one that a path names, by its end.
    fn is_file(known: &str, file: &str) -> bool {
        std::path::Path::new(known).ends_with(file)
    }

    /// An error when no image was made from the file that a path names.
    fn file_exists(&self, path: &Path) -> Result<(), String> {
        let Some(file) = &path.file else { return Ok(()) };
        let has =
            |module: &Module| module.image.files().iter().any(|known| Self::is_file(known, file));
        if self.nearest_first().any(has) {
            return Ok(());
        }
        let nearest = self
            .nearest_first()
            .find_map(|module| module.image.nearest_files(file, 1).into_iter().next());
        let known = nearest.map_or(String::new(), |nearest| {
            format!(" (did you mean `{}`?)", nearest.rsplit('/').next().unwrap_or(&nearest))
        });
        Err(format!("no source file is named `{file}`{known}"))
    }

    /// What surrounds the place, for names that stand alone there.
    fn near(&self) -> Option<(&'a Module, &Near)> {
        let (module, place) = self.here()?;
        let address = module.to_image(place.lookup());
        let found = self.near.get_or_init(|| module.image.near(address, place.depth));
        Some((module, found.as_ref()?))
    }

    /// What a name means that the function has for itself, or its template.
    fn own_of_function(&self, path: &Path) -> Result<Visible, String> {
        let local = path.as_simple().and_then(|name| {
            let (module, near) = self.near()?;
            module.image.local_name(name, near)
        });
        match local {
            Some(LocalName::Enumerator(ty, value)) => {
                Ok(Visible::Value(Binding::Constant { ty, value }))
            }
            Some(LocalName::Type) => Ok(Visible::Type),
            None => self.template_parameter(path),
        }
    }

    /// What a parameter of the template around stands for.
    fn template_parameter(&self, path: &Path) -> Result<Visible, String> {
        let found = path.as_simple().and_then(|name| {
            let (module, near) = self.near()?;
            module.image.template_parameter(name, near)
        });
        Ok(match found {
            Some(TemplateParameter::Number { ty, value }) => {
                Visible::Value(Binding::Constant { ty: self.follow(&ty)?, value })
            }
            // Rust's types share their names with nothing else.
            Some(TemplateParameter::Type(_)) if self.language() != Language::Rust => Visible::Type,
            _ => Visible::Nothing,
        })
    }

    /// What is visible at the place: a variable, an enumerator or a function of
    /// its own image.
    fn visible(&self, path: &Path) -> Result<Visible, String> {
        let Some((module, near)) = self.near().filter(|_| path.file.is_none()) else {
            return Ok(Visible::Nothing);
        };
        let image = &module.image;
        let name = path.written();
        let name = image.in_full(&name, near).map_or(name, Into::into);
        let global = image.globals_near(&name, near).into_iter().next();
        let constant = image.enumerator_near(&name, near);
        let is_meant = |it: &Function| !it.inlined && !is_constructor(path, it);
        let function = image
            .functions_near(&name, near)
            .and_then(|(distance, all)| Some((distance, all.into_iter().find(is_meant)?)));
        // The innermost scope hides what is in others, of whatever kind it is.
        let distances = [
            global.as_ref().map(|(distance, _)| *distance),
            constant.as_ref().map(|(distance, _)| *distance),
            function.as_ref().map(|(distance, _)| *distance),
        ];
        let nearest = distances.into_iter().flatten().min();
        let ty = image.type_distance(&name, near);
        if ty.is_some_and(|ty| nearest.is_none_or(|nearest| ty < nearest)) {
            return Ok(Visible::Type);
        }
        if let Some((_, global)) = global.filter(|(distance, _)| Some(*distance) == nearest) {
            return self.bound(module, &global.ty, global.place).map(Visible::Value);
        }
        if let Some((_, (ty, value))) = constant.filter(|(at, _)| Some(*at) == nearest) {
            return Ok(Visible::Value(Binding::Constant { ty, value }));
        }
        let function = function.map(|(_, function)| self.bound_function(module, function));
        Ok(function.map_or(Visible::Nothing, Visible::Value))
    }

    /// What a name means that is nothing of the file at hand: what all files can
    /// see comes before what one keeps to itself.
    fn global(&self, path: &Path) -> Result<Option<Binding>, String> {
        let name = path.written();
        if let Some(file) = &path.file {
            return self.global_of_file(&name, file);
        }
        let mut kept = Vec::new();
        for (distance, module) in self.nearest_first().enumerate() {
            for global in module.image.globals_named(&name) {
                if global.external && !global.is_nowhere() {
                    return self.bound(module, &global.ty, global.place).map(Some);
                }
                if distance == 0 || global.external || !self.is_nearest_type(&name) {
                    kept.push((module, global));
                }
            }
        }
        if let Some(binding) = self.defined_by_symbol(&name)? {
            return Ok(Some(binding));
        }
        let Some((module, ty)) = self.declared_at_hand(&name) else {
            return self.best_of(kept);
        };
        let nowhere = Place::Unavailable("nothing that is loaded defines it".to_owned());
        self.bound(module, &ty, nowhere).map(Some)
    }

    fn global_of_file(&self, name: &str, file: &str) -> Result<Option<Binding>, String> {
        for module in self.nearest_first() {
            let mut globals = module.image.globals_named(name);
            globals.retain(|global| {
                global.file.as_ref().is_some_and(|known| Self::is_file(known, file))
            });
            let found = self.best_of(globals.into_iter().map(|it| (module, it)).collect())?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The first that is somewhere, or else the first.
    fn best_of(&self, globals: Vec<(&Module, Global)>) -> Result<Option<Binding>, String> {
        let somewhere = globals.iter().position(|(_, global)| !global.is_nowhere());
        let best = globals.into_iter().nth(somewhere.unwrap_or(0));
        best.map(|(module, global)| self.bound(module, &global.ty, global.place)).transpose()
    }

    /// What is declared somewhere and defined where no debug information is: the
    /// type of the one, at the address of the other.
    fn defined_by_symbol(&self, name: &str) -> Result<Option<Binding>, String> {
        let is_data = |hit: &SymbolHit| {
            hit.external && matches!(hit.kind, SymbolKind::Data | SymbolKind::Label)
        };
        let defined = self.nearest_first().find_map(|module| {
            let symbol = module.image.symbols_named(name).into_iter().find(is_data)?;
            Some(module.bias.to_virt(symbol.start))
        });
        let Some(address) = defined else { return Ok(None) };
        let declared =
            |module: &'a Module| Some((module, module.image.declared_global(name, None)?));
        let Some((module, ty)) = self.nearest_first().find_map(declared) else { return Ok(None) };
        self.rooted.set(true);
        let place = Place::Memory(vec![location::Op::Const(address.get())]);
        self.bound(module, &ty, place).map(Some)
    }

    /// The type that the file at hand declares a variable with.
    fn declared_at_hand(&self, name: &str) -> Option<(&'a Module, TypeLink)> {
        let (module, near) = self.near()?;
        Some((module, module.image.declared_global(name, Some(near))?))
    }

    /// Whether the nearest image has a type of a name. What others keep to
    /// themselves under it is not meant: libm alone has statics called `C`.
    fn is_nearest_type(&self, name: &str) -> bool {
        self.nearest_first().next().is_some_and(|own| !own.image.types_named(name).is_empty())
    }

    fn function(&self, path: &Path) -> Option<Binding> {
        let name = path.joined();
        self.nearest_first().find_map(|module| {
            let functions = module.image.functions_named(&name, path.global);
            let in_file = |function: &Function| {
                let declared = function.decl.as_ref();
                path.file.as_ref().is_none_or(|file| {
                    declared.is_some_and(|(known, _)| Self::is_file(known, file))
                })
            };
            let meant = functions.into_iter().filter(|function| {
                !function.inlined && in_file(function) && !is_constructor(path, function)
            });
            let function = meant.min_by_key(|function| !function.external)?;
            Some(self.bound_function(module, function))
        })
    }

    fn bound_function(&self, module: &Module, function: Function) -> Binding {
        let unknown = || Type {
            name: String::new(),
            size: None,
            kind: TypeKind::Function { result: None, parameters: Vec::new() },
        };
        let ty = module.image.function_type(&function).unwrap_or_else(unknown);
        self.rooted.set(true);
        Binding::Function {
            ty: Arc::new(ty),
            address: module.bias.to_virt(function.entry),
            takes_object: module.image.takes_object(&function),
            name: function.name,
        }
    }

    fn enumerator(&self, path: &Path) -> Option<Binding> {
        let name = path.written();
        self.nearest_first().find_map(|module| {
            let (ty, value) = module.image.enumerator_named(&name)?;
            Some(Binding::Constant { ty, value })
        })
    }

    fn thread_local_member(&self, module: &Module, full: &str) -> Result<Place, String> {
        let globals = module.image.globals_named(full).into_iter();
        let mut exact = globals.filter(|global| global.name == full);
        match exact.next().map(|global| self.bound(module, &global.ty, global.place)) {
            Some(Ok(Binding::Variable { place, .. })) => Ok(place),
            Some(Err(why)) => Err(why),
            _ => Ok(Place::Unavailable("thread-local storage".to_owned())),
        }
    }

    /// What is there by symbol table alone has no type.
    fn untyped(&self, path: &Path) -> Option<Binding> {
        let name = path.written();
        let address = self.nearest_first().find_map(|module| {
            let symbol = module.image.symbols_named(&name).into_iter().next()?;
            Some(module.bias.to_virt(symbol.start))
        })?;
        if self.is_nearest_type(&name) {
            return None;
        }
        self.rooted.set(true);
        Some(Binding::Untyped { address, name: name.into_owned() })
    }
}

/// Whether a name that stands alone is that of a function's class, which a
/// constructor bears as well.
fn is_constructor(path: &Path, function: &Function) -> bool {
    let class = function.name.strip_suffix(&*path.joined()).and_then(|it| it.strip_suffix("::"));
    let class = class.map(|class| class.split('<').next().unwrap_or_default());
    path.as_simple().is_some() && class.is_some_and(|it| it.rsplit("::").next() == path.as_simple())
}

/// Whether a variable is one of the frame at a place, or of any.
fn is_seen(place: CodePlace, variable: &Variable) -> bool {
    place.depth.is_none_or(|depth| variable.inline_depth == depth)
}

/// Whether a place is found from the stack pointer.
fn is_on_stack(place: &Place) -> bool {
    let by_stack = |program: &location::Program| {
        let uses = |op: &location::Op| matches!(op, location::Op::RegOffset(Reg::Rsp, _));
        program.iter().any(uses)
    };
    match place {
        Place::Memory(program) | Place::Value(program) => by_stack(program),
        Place::Pieces(pieces) => pieces.iter().any(|piece| is_on_stack(&piece.place)),
        Place::Pointer(pointed) => is_on_stack(&pointed.place),
        Place::Register(reg) => *reg == Reg::Rsp,
        Place::Bytes(_) | Place::Unavailable(_) => false,
    }
}

/// Whether a place is the same for every frame and thread.
fn is_static(place: &Place) -> bool {
    match place {
        Place::Memory(program) | Place::Value(program) => {
            program.iter().all(|op| matches!(op, location::Op::Address(_) | location::Op::Const(_)))
        }
        Place::Pointer(pointed) => is_static(&pointed.place),
        Place::Bytes(_) => true,
        Place::Register(_) | Place::Pieces(_) | Place::Unavailable(_) => false,
    }
}

impl ResolveType for CodeScope<'_> {
    fn resolve(&self, reference: TypeRef) -> Result<Arc<Type>, String> {
        let ty = resolve(self.modules, reference)?;
        if self.lengths.is_none() || self.depth.get() >= MAX_MEASURED {
            return Ok(ty);
        }
        self.depth.set(self.depth.get() + 1);
        let measured = self.measured(ty);
        self.depth.set(self.depth.get() - 1);
        measured
    }
}

fn resolve(modules: &Modules, reference: TypeRef) -> Result<Arc<Type>, String> {
    modules
        .by_id(reference.module)
        .ok_or_else(|| "the type's image is not loaded".to_owned())?
        .image
        .type_at(reference.offset)
}

impl Scope for CodeScope<'_> {
    fn language(&self) -> Language {
        let found = self
            .here()
            .and_then(|(module, place)| module.image.language_at(module.to_image(place.lookup())));
        found.unwrap_or(Language::C)
    }

    fn variable(&self, path: &Path) -> Result<Option<Binding>, String> {
        if let Some(binding) = self.local(path)? {
            return Ok(Some(binding));
        }
        let visible = match self.own_of_function(path)? {
            Visible::Nothing => self.visible(path)?,
            found => found,
        };
        match visible {
            Visible::Value(binding) => return Ok(Some(binding)),
            Visible::Type => return Ok(None),
            Visible::Nothing => {}
        }
        if let Some(binding) = self.global(path)? {
            return Ok(Some(binding));
        }
        self.file_exists(path)?;
        if let Some(binding) = self.enumerator(path).or_else(|| self.function(path)) {
            return Ok(Some(binding));
        }
        // A symbol table does not say which file a symbol is from.
        Ok(if path.file.is_some() { None } else { self.untyped(path) })
    }

    fn is_local(&self, name: &str) -> bool {
        self.local_named(name).is_some()
    }

    fn method_object(&self) -> Option<Arc<Type>> {
        // C has variables called `this`, too, but the compiler did not make them.
        let (_, this) = self.local_named("this").filter(|(_, this)| this.artificial)?;
        let pointer = self.strip(&self.follow(&this.ty).ok()?).ok()?;
        let TypeKind::Pointer { target: Some(link), .. } = &pointer.kind else { return None };
        self.follow(link).ok()
    }

    fn type_named(&self, name: &str) -> Result<Option<Arc<Type>>, String> {
        let visible = self.near().and_then(|(module, near)| {
            let image = &module.image;
            if let Some(local) = image.local_type(name, near) {
                return Some(local);
            }
            if let Some(TemplateParameter::Type(ty)) = image.template_parameter(name, near) {
                return self.follow(&ty).ok();
            }
            let name = image.in_full(name, near).map_or(name.into(), Cow::Owned);
            image.types_near(&name, near).into_iter().next()
        });
        let anywhere = || {
            self.nearest_first()
                .find_map(|module| module.image.types_named(name).into_iter().next())
        };
        Ok(visible.or_else(anywhere))
    }

    fn types_beside(&self, name: &str, near: TypeRef) -> Result<Vec<Arc<Type>>, String> {
        let own = self.modules.by_id(near.module);
        let found = own.map(|module| module.image.types_beside(name, near.offset));
        match found {
            Some(found) if !found.is_empty() => Ok(found),
            _ => Ok(self.type_named(name)?.into_iter().collect()),
        }
    }

    fn length(&self, array: TypeRef) -> Result<location::Program, String> {
        let (module, place) = self.here().ok_or("its length is known in a frame only")?;
        if module.id() != array.module {
            return Err("its length is known in another module only".to_owned());
        }
        let pc = module.to_image(place.pc);
        let mut program = module.image.array_length_at(array.offset, pc, place.kind)?;
        self.used_frame.set(true);
        if location::relocate_program(&mut program, module.bias) {
            self.rooted.set(true);
        }
        Ok(program)
    }

    fn static_member(&self, declared: TypeRef) -> Result<Place, String> {
        let module = self.modules.by_id(declared.module).ok_or("the type's image is not loaded")?;
        let name = match module.image.static_member_at(declared.offset)? {
            StaticMemberPlace::Here(mut place) => {
                let moved = location::relocate(&mut place, module.bias);
                self.rooted.set(self.rooted.get() || moved);
                return Ok(place);
            }
            StaticMemberPlace::Symbol(name) => name,
        };
        // A class is described wherever it is used; its members are in one image.
        let others = self.modules.in_load_order().filter(|other| other.id() != module.id());
        for module in std::iter::once(module).chain(others) {
            if let Some(at) = module.image.static_member_named(&name) {
                self.rooted.set(true);
                return Ok(Place::Memory(vec![location::Op::Const(module.bias.to_virt(at).get())]));
            }
            if module.image.is_thread_local(&name) {
                return self.thread_local_member(module, &name.full);
            }
        }
        Ok(Place::Unavailable(OPTIMIZED_OUT.to_owned()))
    }

    fn static_member_type(&self, member: &StaticMember) -> Result<Arc<Type>, String> {
        let declared = self.follow(&member.ty)?;
        if self.strip(&declared)?.size.is_some() {
            return Ok(declared);
        }
        let module = self.modules.by_id(member.declared.module);
        let name = match module.map(|it| it.image.static_member_at(member.declared.offset)) {
            Some(Ok(StaticMemberPlace::Symbol(name))) => name.full,
            _ => return Ok(declared),
        };
        let mut defined = self.modules.in_load_order().flat_map(|module| {
            module.image.globals_named(&name).into_iter().filter(|global| global.name == name)
        });
        defined.next().map_or(Ok(declared), |global| self.follow(&global.ty))
    }

    fn convenience(&self, name: &str) -> Option<Value> {
        self.known.values.get(name)
    }

    fn views(&self) -> &Views {
        &self.known.views
    }

    fn suggest(&self, name: &str) -> Vec<String> {
        let Some((module, place)) = self.here() else { return Vec::new() };
        let close = |other: &str| {
            let part = |whole: &str, part: &str| part.len() >= 3 && whole.starts_with(part);
            other.eq_ignore_ascii_case(name) || part(other, name) || part(name, other)
        };
        let mut names: Vec<String> = module
            .image
            .variables_at(module.to_image(place.pc), place.kind)
            .into_iter()
            .filter(|variable| is_seen(place, variable))
            .map(|variable| variable.name)
            .filter(|other| !other.is_empty() && close(other))
            .collect();
        names.truncate(3);
        names
    }
}

/// Types of an address space without names.
pub(super) struct Types<'a>(pub(super) &'a Modules);

impl ResolveType for Types<'_> {
    fn resolve(&self, reference: TypeRef) -> Result<Arc<Type>, String> {
        resolve(self.0, reference)
    }
}
