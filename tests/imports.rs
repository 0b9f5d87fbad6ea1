//! No two source files import each other, directly or in a circle.
//!
//! A file imports another if a path in it, in a `use` or in code, leads to something that the other file defines. The test
//! follows each path to the definition: a name that a `mod.rs` only re-exports counts for the file that defines it. So a parent
//! that declares its children and re-exports their definitions imports nothing, unless it uses the names itself. A child may
//! use the definitions of the modules that contain it, because they belong together. Test modules do not count. Methods have no
//! path, so the test does not see them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Ident, Item, Macro, Meta, Token, UseTree, Visibility,
    punctuated::Punctuated,
    visit::{self, Visit},
};

/// The names of the modules on the way from the root of the crate.
type ModulePath = Vec<String>;

#[test]
fn files_do_not_import_each_other_in_circles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut circles = Vec::new();
    for source in ["src/lib.rs", "rtmp/src/lib.rs"] {
        let imports = Crate::read(&root.join(source)).imports();
        assert!(imports.len() > 20, "{source}: {} files import something", imports.len());
        circles.extend(circles_of(&imports).into_iter().map(|circle| describe(root, &circle, &imports)));
    }
    assert!(circles.is_empty(), "{} circles:\n\n{}", circles.len(), circles.join("\n"));
}

#[test]
fn a_circle_is_found_through_re_exports_macros_and_code() {
    let directory = std::env::temp_dir().join(format!("imports-{}", std::process::id()));
    fs::create_dir_all(directory.join("a")).unwrap();
    let files = [
        ("lib.rs", "mod a; mod b; mod c; pub use a::One; pub(crate) fn call() {}"),
        ("a/mod.rs", "mod one; mod two; pub use one::One; pub use two::*;"),
        ("a/one.rs", "use crate::b; pub struct One; fn f() { b::g() }"),
        (
            "a/two.rs",
            "pub struct Two; #[cfg(test)] mod tests { use crate::b; } #[cfg(all(unix, test))] mod more;",
        ),
        ("b.rs", "use crate::a::Two; pub fn g() { println!(\"{:?}\", crate::c::h()) }"),
        ("c.rs", "mod inner { use super::super::{One, call}; } pub fn h() {}"),
    ];
    for (name, text) in files {
        fs::write(directory.join(name), text).unwrap();
    }
    let imports = Crate::read(&directory.join("lib.rs")).imports();
    fs::remove_dir_all(&directory).unwrap();
    let names = |paths: &BTreeSet<PathBuf>| -> Vec<String> {
        paths.iter().map(|path| path.strip_prefix(&directory).unwrap().display().to_string()).collect()
    };
    let found: Vec<_> = imports
        .iter()
        .map(|(from, to)| (from.strip_prefix(&directory).unwrap().display().to_string(), names(to)))
        .collect();
    let expected =
        [("a/one.rs", vec!["b.rs"]), ("b.rs", vec!["a/two.rs", "c.rs"]), ("c.rs", vec!["a/one.rs"])];
    assert_eq!(
        found,
        expected.map(|(from, to)| (from.to_owned(), to.into_iter().map(str::to_owned).collect()))
    );
    let circles: Vec<_> = circles_of(&imports).iter().map(names).collect();
    assert_eq!(circles, [["a/one.rs", "b.rs", "c.rs"]]);
}

/// The modules of a crate.
#[derive(Default)]
struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

#[derive(Default)]
struct Module {
    file: PathBuf,
    defined: BTreeSet<String>,
    /// Names that a `use` imports, with the path of each, except names of a child that are only re-exported.
    names: BTreeMap<String, Vec<String>>,
    /// Modules whose names a `use` imports all together.
    globs: Vec<Vec<String>>,
    /// All paths in the code, including those in a `use`.
    paths: Vec<Vec<String>>,
}

impl Crate {
    fn read(file: &Path) -> Self {
        let mut all = Self::default();
        all.read_file(file, Vec::new());
        all
    }

    fn read_file(&mut self, file: &Path, module: ModulePath) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.read_items(file, module, &syntax.items);
    }

    fn read_items(&mut self, file: &Path, path: ModulePath, items: &[Item]) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items {
            let child = if let Item::Mod(child) = item { Some(child) } else { None };
            if let Some(child) = child.filter(|child| !is_for_tests(&child.attrs)) {
                let name = child.ident.to_string();
                let child_path: ModulePath = path.iter().cloned().chain([name.clone()]).collect();
                match &child.content {
                    Some((_, items)) => self.read_items(file, child_path, items),
                    None => self.read_file(&file_of(file, &name), child_path),
                }
            }
            module.visit_item(item);
        }
        self.modules.insert(path, module);
    }

    /// The files that each file imports.
    fn imports(&self) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
        let mut imports = BTreeMap::<_, BTreeSet<_>>::new();
        for (path, module) in &self.modules {
            for used in &module.paths {
                let Some(file) = self.find(path, used, 0) else { continue };
                let is_parent = (0..=path.len()).any(|len| self.modules[&path[..len]].file == *file);
                if !is_parent {
                    imports.entry(module.file.clone()).or_default().insert(file.clone());
                }
            }
        }
        imports
    }

    /// The file that defines the item at a path in a module; `None` if it is outside of the crate.
    fn find(&self, from: &[String], path: &[String], depth: usize) -> Option<&PathBuf> {
        let (first, rest) = path.split_first()?;
        // A `use` may name itself, as in `use log::log`.
        if depth > 8 {
            return None;
        }
        let (mut at, mut rest) = match first.as_str() {
            "crate" => (Vec::new(), rest),
            "self" => (from.to_owned(), rest),
            "super" => (from.split_last()?.1.to_owned(), rest),
            name => {
                let module = &self.modules[from];
                if let Some(used) = module.names.get(name) {
                    let whole: Vec<_> = used.iter().chain(rest).cloned().collect();
                    return self.find(from, &whole, depth + 1);
                }
                if !self.modules.contains_key(&child(from, name)) {
                    let known = module.defined.contains(name);
                    let through =
                        || module.globs.iter().find_map(|glob| self.find_in(from, glob, path, depth));
                    return if known { Some(&module.file) } else { through() };
                }
                (from.to_owned(), path)
            }
        };
        while let Some((name, behind)) = rest.split_first() {
            let child = child(&at, name);
            if name == "super" {
                at.pop()?;
            } else if self.modules.contains_key(&child) {
                at = child;
            } else {
                break;
            }
            rest = behind;
        }
        let module = &self.modules[&at];
        match rest.first() {
            Some(name) if !module.defined.contains(name) => {
                // Definitions made by a macro are not visible to the test, and count for the module itself.
                self.find(&at, rest, depth + 1).or(Some(&module.file))
            }
            _ => Some(&module.file),
        }
    }

    /// As `find`, for a name that a glob may import.
    fn find_in(&self, from: &[String], glob: &[String], path: &[String], depth: usize) -> Option<&PathBuf> {
        let whole: Vec<_> = glob.iter().chain(path).cloned().collect();
        let file = self.find(from, &whole, depth + 1)?;
        let defines = |module: &&Module| module.file == *file && module.defined.contains(&path[0]);
        self.modules.values().find(defines).map(|_| file)
    }
}

impl Module {
    /// Reads a `use`. With `hands_on`, it only re-exports names, which is not an import.
    fn bring_in(&mut self, tree: &UseTree, before: &[String], hands_on: bool) {
        let with =
            |name: &Ident| -> Vec<String> { before.iter().cloned().chain([name.to_string()]).collect() };
        let (name, path) = match tree {
            UseTree::Path(path) => return self.bring_in(&path.tree, &with(&path.ident), hands_on),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.bring_in(tree, before, hands_on));
            }
            UseTree::Glob(_) => {
                self.globs.push(before.to_owned());
                if !hands_on {
                    self.paths.push(before.to_owned());
                }
                return;
            }
            UseTree::Name(name) if name.ident == "self" => {
                (before.last().cloned().unwrap(), before.to_owned())
            }
            UseTree::Name(name) => (name.ident.to_string(), with(&name.ident)),
            UseTree::Rename(rename) if rename.ident == "self" => {
                (rename.rename.to_string(), before.to_owned())
            }
            UseTree::Rename(rename) => (rename.rename.to_string(), with(&rename.ident)),
        };
        if !hands_on {
            self.paths.push(path.clone());
        }
        // A crate's name is imported without a change.
        if path.len() > 1 {
            self.names.insert(name, path);
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attrs, name) = match item {
            // The children have been read before.
            Item::Mod(_) => return,
            Item::Use(item) => {
                let hands_on = !matches!(item.vis, Visibility::Inherited);
                return self.bring_in(&item.tree, &[], hands_on);
            }
            Item::Const(item) => (&item.attrs, &item.ident),
            Item::Enum(item) => (&item.attrs, &item.ident),
            Item::Fn(item) => (&item.attrs, &item.sig.ident),
            Item::Static(item) => (&item.attrs, &item.ident),
            Item::Struct(item) => (&item.attrs, &item.ident),
            Item::Trait(item) => (&item.attrs, &item.ident),
            Item::Type(item) => (&item.attrs, &item.ident),
            Item::Union(item) => (&item.attrs, &item.ident),
            _ => return visit::visit_item(self, item),
        };
        if !is_for_tests(attrs) {
            self.defined.insert(name.to_string());
            visit::visit_item(self, item);
        }
    }

    /// `pub(super)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        visit::visit_macro(self, item);
        self.scan(item.tokens.to_string());
    }
}

impl Module {
    /// Finds the paths in a macro's tokens.
    fn scan(&mut self, tokens: String) {
        let tokens = tokens.replace(" :: ", "::").replace("::", "\u{1}");
        for word in tokens.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '\u{1}') {
            let path: Vec<_> = word.split('\u{1}').map(str::to_owned).collect();
            if path.iter().all(|name| !name.is_empty()) {
                self.paths.push(path);
            }
        }
    }
}

fn child(path: &[String], name: &str) -> ModulePath {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

/// The file of a child module.
fn file_of(parent: &Path, name: &str) -> PathBuf {
    let directory = parent.parent().unwrap();
    let directory = match parent.file_stem().unwrap().to_str().unwrap() {
        "lib" | "mod" => directory.to_owned(),
        stem => directory.join(stem),
    };
    let flat = directory.join(format!("{name}.rs"));
    if flat.exists() { flat } else { directory.join(name).join("mod.rs") }
}

fn is_for_tests(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| {
        attr.path().is_ident("cfg")
            && attr.parse_args::<Meta>().is_ok_and(|condition| requires_test(&condition))
    })
}

/// Whether a condition is `test`, or requires it among others.
fn requires_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(all) if all.path.is_ident("all") => all
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|conditions| conditions.iter().any(requires_test)),
        _ => false,
    }
}

/// Sets of files that all import each other, directly or through others.
fn circles_of(imports: &BTreeMap<PathBuf, BTreeSet<PathBuf>>) -> BTreeSet<BTreeSet<PathBuf>> {
    let reached = |from: &PathBuf| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            next.extend(
                imports.get(file).into_iter().flatten().filter(|file| reached.insert((*file).clone())),
            );
        }
        reached
    };
    let reach: BTreeMap<_, _> = imports.keys().map(|file| (file, reached(file))).collect();
    let circle = |file: &PathBuf| -> BTreeSet<PathBuf> {
        reach[file]
            .iter()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(file)))
            .cloned()
            .collect()
    };
    imports.keys().map(circle).filter(|circle| !circle.is_empty()).collect()
}

/// Describes a circle with one line for each import in it.
fn describe(
    root: &Path,
    circle: &BTreeSet<PathBuf>,
    imports: &BTreeMap<PathBuf, BTreeSet<PathBuf>>,
) -> String {
    let name = |path: &PathBuf| path.strip_prefix(root).unwrap_or(path).display().to_string();
    circle
        .iter()
        .flat_map(|from| imports[from].intersection(circle).map(move |to| (from, to)))
        .map(|(from, to)| format!("{} -> {}\n", name(from), name(to)))
        .collect()
}
