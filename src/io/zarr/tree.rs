//! What a hierarchy holds and which array of it is read: images, series, wells, label images, plain arrays.

use std::sync::Arc;

use serde_json::{Map, Value};
use zarrs::array::Array;
use zarrs::storage::{StoreKey, StorePrefix};

use super::image::{self, Described, multiscales, ome, text_of};
use super::node::{Node, join, node, open_array};
use super::store::Store;
use crate::io::choice::ReadOptions;
use crate::io::format::ArrayEntry;

/// Groups inside one another that are gone through where each holds nothing but the next.
const MAX_DEPTH: usize = 4;
/// Arrays listed at most.
const MAX_ARRAYS: usize = 10_000;
/// Names that a sentence lists.
const MAX_NAMED: usize = 12;

/// An array that was found.
pub(super) struct Level {
    pub(super) array: Array<Store>,
    /// What image metadata say of it; `None` for a plain array.
    pub(super) described: Option<Described>,
}

/// What is read of a hierarchy.
pub(super) struct Found {
    /// The arrays, finest first; one for a plain array.
    pub(super) levels: Vec<Level>,
    /// The attributes that describe them.
    pub(super) attributes: Map<String, Value>,
    /// What was assumed or left out.
    pub(super) warnings: Vec<String>,
    /// The image of several that was taken because nobody chose.
    pub(super) first: Option<String>,
}

/// Finds what is read: what `options` choose, or else the only image or array, or the first, which is said.
pub(super) fn find(store: &Arc<Store>, options: &ReadOptions) -> Result<Found, String> {
    let chosen = options.dataset.as_deref().unwrap_or_default();
    let path = join("", chosen)?;
    let Some(found) = node(store, &path)? else {
        return Err(match chosen {
            "" => "no Zarr hierarchy: neither zarr.json nor .zgroup or .zarray is there".to_owned(),
            _ => {
                format!("there is no array or group {path} in it; it holds {}", named(&children(store, "")?))
            }
        });
    };
    if found.is_array {
        return level_of_image(store, &path)?.map_or_else(|| plain(store, &path), Ok);
    }
    let mut warnings = Vec::new();
    let mut found = in_group(store, &path, found, options.entry.as_deref(), &mut warnings, 0)?;
    warnings.append(&mut found.warnings);
    Ok(Found { warnings, ..found })
}

/// Names of the images that lie side by side, as `find` takes them for an entry; empty where there is one.
pub(super) fn entries(store: &Arc<Store>) -> Result<Vec<String>, String> {
    let mut path = String::new();
    for _ in 0..=MAX_DEPTH {
        let Some(group) = node(store, &path)?.filter(|node| !node.is_array) else { break };
        let images = multiscales(&group.attributes);
        if !images.is_empty() {
            return Ok(names_of(images));
        }
        let children = children(store, &path)?;
        if let Some((_, names)) = members(store, &path, &group, &children)? {
            return Ok(names);
        }
        let [only] = children.as_slice() else { break };
        path = join(&path, only)?;
    }
    Ok(Vec::new())
}

/// Every image and every array that belongs to none, by its path, with shape and type (of an image those of the finest).
pub(super) fn arrays(store: &Arc<Store>) -> Result<Vec<ArrayEntry>, String> {
    let mut found = Vec::new();
    gather(store, "", 0, &mut found)?;
    Ok(found)
}

fn gather(store: &Arc<Store>, path: &str, depth: usize, found: &mut Vec<ArrayEntry>) -> Result<(), String> {
    if depth > 2 * MAX_DEPTH || found.len() >= MAX_ARRAYS {
        return Ok(());
    }
    let Some(node) = node(store, path)? else { return Ok(()) };
    if node.is_array {
        found.extend(listed(store, path, path, ""));
        return Ok(());
    }
    let images = multiscales(&node.attributes);
    if let Some(image) = images.first() {
        let finest = image::paths(image).first().map(|own| join(path, own)).transpose()?;
        let note = text_of(image, "name").unwrap_or_default();
        found.extend(finest.and_then(|finest| listed(store, path, &finest, note)));
        return gather(store, &join(path, "labels")?, depth + 1, found);
    }
    for child in children(store, path)? {
        gather(store, &join(path, &child)?, depth + 1, found)?;
    }
    Ok(())
}

/// What is listed under `path` for the array at `finest`; nothing for one that cannot be opened.
fn listed(store: &Arc<Store>, path: &str, finest: &str, note: &str) -> Option<ArrayEntry> {
    let array = open_array(store, finest).ok()?;
    let shape = array.shape().iter().map(|side| usize::try_from(*side).unwrap_or(usize::MAX)).collect();
    let path = if path.is_empty() { "/".to_owned() } else { path.trim_start_matches('/').to_owned() };
    Some(ArrayEntry { path, shape, dtype: super::stored::type_name(&array), note: note.to_owned() })
}

/// A plain array.
fn plain(store: &Arc<Store>, path: &str) -> Result<Found, String> {
    let array = open_array(store, path)?;
    let attributes = array.attributes().clone();
    let levels = vec![Level { array, described: None }];
    Ok(Found { levels, attributes, warnings: Vec::new(), first: None })
}

/// An array that is a level of the image above it, with what that image says of it.
fn level_of_image(store: &Arc<Store>, path: &str) -> Result<Option<Found>, String> {
    let mut split = path.rfind('/');
    while let Some(at) = split {
        let (above, own) = (&path[..at], &path[at + 1..]);
        if let Some(group) = node(store, above)?.filter(|node| !node.is_array) {
            let images = multiscales(&group.attributes);
            if let Some(image) =
                images.iter().find(|image| image::paths(image).iter().any(|path| path == own))
            {
                let mut warnings = Vec::new();
                let level = level(store, above, image, own, &mut warnings)?;
                return Ok(Some(Found {
                    levels: vec![level],
                    attributes: group.attributes.clone(),
                    warnings,
                    first: None,
                }));
            }
        }
        split = path[..at].rfind('/');
    }
    // A level beside the root.
    let Some(root) = node(store, "")?.filter(|node| !node.is_array) else { return Ok(None) };
    let images = multiscales(&root.attributes);
    let Some(image) = images.iter().find(|image| image::paths(image).iter().any(|own| own == path)) else {
        return Ok(None);
    };
    let mut warnings = Vec::new();
    let level = level(store, "", image, path, &mut warnings)?;
    Ok(Some(Found { levels: vec![level], attributes: root.attributes.clone(), warnings, first: None }))
}

fn level(
    store: &Arc<Store>,
    base: &str,
    image: &Value,
    path: &str,
    warnings: &mut Vec<String>,
) -> Result<Level, String> {
    let array =
        open_array(store, &join(base, path)?).map_err(|problem| format!("level {path}: {problem}"))?;
    let described = image::describe(image, path, array.dimensionality(), warnings)?;
    Ok(Level { array, described: Some(described) })
}

/// What is read of a group.
fn in_group(
    store: &Arc<Store>,
    path: &str,
    group: Node,
    entry: Option<&str>,
    warnings: &mut Vec<String>,
    depth: usize,
) -> Result<Found, String> {
    if !multiscales(&group.attributes).is_empty() {
        return image_of(store, path, group.attributes, entry, warnings);
    }
    if let Some(plate) = ome(&group.attributes).get("plate") {
        let wells: Vec<String> =
            list(plate, "wells").filter_map(|well| Some(text_of(well, "path")?.to_owned())).collect();
        return Err(format!(
            "a plate of {} wells; choose a field of one with --dataset WELL/FIELD, wells are {}",
            wells.len(),
            named(&wells)
        ));
    }
    let children = children(store, path)?;
    match members(store, path, &group, &children)? {
        Some((what, names)) => one_of(store, path, what, names, entry, warnings),
        None => among(store, path, &children, entry, warnings, depth),
    }
}

/// What lies side by side in a group that says so, and by which names.
fn members(
    store: &Arc<Store>,
    path: &str,
    group: &Node,
    children: &[String],
) -> Result<Option<(&'static str, Vec<String>)>, String> {
    let said = ome(&group.attributes);
    if let Some(well) = said.get("well") {
        let fields = list(well, "images").filter_map(|field| Some(text_of(field, "path")?.to_owned()));
        return Ok(Some(("field", fields.collect())));
    }
    if let Some(labels) = said.get("labels").and_then(Value::as_array) {
        let names = labels.iter().filter_map(|name| Some(name.as_str()?.to_owned()));
        return Ok(Some(("label image", names.collect())));
    }
    if said.contains_key("scene") {
        return Ok(Some(("image of the scene", images_among(store, path, children)?)));
    }
    let series = series(store, path, said, children)?;
    Ok((!series.is_empty()).then_some(("image", series)))
}

/// What is read of a group that says nothing of itself.
fn among(
    store: &Arc<Store>,
    path: &str,
    children: &[String],
    entry: Option<&str>,
    warnings: &mut Vec<String>,
    depth: usize,
) -> Result<Found, String> {
    let mut arrays = Vec::new();
    for child in children.iter().take(1000) {
        if node(store, &join(path, child)?)?.is_some_and(|node| node.is_array) {
            arrays.push(child.clone());
        }
    }
    match (arrays.as_slice(), children) {
        ([only], _) => plain(store, &join(path, only)?),
        ([], [only]) if depth < MAX_DEPTH => {
            let inner = join(path, only)?;
            let found = node(store, &inner)?.ok_or("an empty Zarr group")?;
            in_group(store, &inner, found, entry, warnings, depth + 1)
        }
        ([], []) => Err("an empty Zarr group: there is no array in it".to_owned()),
        ([], _) => Err(format!(
            "a Zarr group without an image description; choose what is in it with --dataset: {}",
            named(children)
        )),
        _ => Err(format!(
            "a Zarr group of {} arrays without an image description; choose one with --dataset: {}",
            arrays.len(),
            named(&arrays)
        )),
    }
}

/// One of several groups: the one that is chosen, the only one, or the first, which is said.
fn one_of(
    store: &Arc<Store>,
    path: &str,
    what: &str,
    names: Vec<String>,
    entry: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<Found, String> {
    let Some(first) = names.first() else { return Err(format!("a Zarr group without any {what} in it")) };
    let chosen = match entry {
        None => first,
        Some(entry) => names
            .iter()
            .find(|name| *name == entry)
            .ok_or_else(|| format!("there is no {what} {entry:?}; --entry takes one of {}", named(&names)))?,
    };
    if entry.is_none() && names.len() > 1 {
        warnings.push(format!(
            "{what} {first} of {} was read; --entry takes another: {}",
            names.len(),
            named(&names)
        ));
    }
    let inner = join(path, chosen)?;
    let found =
        node(store, &inner)?.ok_or_else(|| format!("the {what} {chosen} is listed but is not there"))?;
    let mut found = if found.is_array {
        plain(store, &inner)?
    } else {
        image_of(store, &inner, found.attributes, None, warnings)?
    };
    if entry.is_none() && names.len() > 1 {
        found.first = Some(first.clone());
    }
    Ok(found)
}

/// Names of the images of one group, their numbers where they have none.
fn names_of(images: &[Value]) -> Vec<String> {
    let name = |(at, image)| text_of(image, "name").map_or_else(|| usize::to_string(&at), str::to_owned);
    images.iter().enumerate().map(name).collect()
}

/// The levels of an image, finest first.
fn image_of(
    store: &Arc<Store>,
    path: &str,
    attributes: Map<String, Value>,
    entry: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<Found, String> {
    let images = multiscales(&attributes);
    let names = names_of(images);
    let at = match entry {
        None => 0,
        Some(entry) => (0..images.len())
            .find(|at| names[*at] == entry || at.to_string() == entry)
            .ok_or_else(|| format!("there is no image {entry:?}; --entry takes one of {}", named(&names)))?,
    };
    let image = images.get(at).ok_or("a Zarr group without an image")?;
    let first = names.first().filter(|_| entry.is_none() && names.len() > 1).cloned();
    if entry.is_none() && images.len() > 1 {
        warnings.push(format!(
            "image 0 of {} was read; --entry takes another: {}",
            images.len(),
            named(&names)
        ));
    }
    let mut said = Vec::new();
    let paths = image::paths(image);
    let mut levels = Vec::new();
    let mut problems = Vec::new();
    for own in &paths {
        match level(store, path, image, own, &mut said) {
            Ok(level) => levels.push(level),
            Err(problem) => problems.push((own, problem)),
        }
    }
    let Some(found) = levels.first() else {
        let problem = problems.into_iter().next().map(|(_, problem)| problem);
        return Err(problem.unwrap_or_else(|| "an image without a single array in its metadata".to_owned()));
    };
    let n = found.array.dimensionality();
    let finest =
        levels.iter().filter_map(|level| edge(level.described.as_ref()?)).fold(f64::INFINITY, f64::min);
    for (own, problem) in problems {
        // A coarse level may be missing; one that is finer than all that are there may not.
        let described = image::describe(image, own, n, &mut Vec::new())?;
        if edge(&described).is_none_or(|edge| edge <= finest) {
            return Err(problem);
        }
        said.push(format!("{problem}; it was left out"));
    }
    image::say_version(&attributes, &mut said);
    finest_first(&mut levels, &mut said);
    // What lies beside an image is no reason not to read it.
    if let Err(problem) = say_labels(store, path, &mut said) {
        said.push(format!("what lies in labels could not be read: {problem}"));
    }
    Ok(Found { levels, attributes, warnings: said, first })
}

/// The product of the steps of a level along its axes; `None` where the metadata say none.
fn edge(described: &Described) -> Option<f64> {
    described.is_sized.then(|| described.dims.iter().map(|dim| dim.scale.abs()).product())
}

/// Sorts levels by their size where the file does not.
fn finest_first(levels: &mut [Level], warnings: &mut Vec<String>) {
    let n = |level: &Level| level.array.shape().iter().fold(1u64, |n, side| n.saturating_mul(*side));
    if levels.windows(2).any(|pair| n(&pair[0]) < n(&pair[1])) {
        levels.sort_by_key(|level| std::cmp::Reverse(n(level)));
        warnings.push("the file lists its levels in another order; the finest was read".to_owned());
    }
}

/// Says which label images an image holds.
fn say_labels(store: &Arc<Store>, path: &str, warnings: &mut Vec<String>) -> Result<(), String> {
    let Some(labels) = node(store, &join(path, "labels")?)? else { return Ok(()) };
    let names = ome(&labels.attributes).get("labels").and_then(Value::as_array);
    let names: Vec<String> =
        names.into_iter().flatten().filter_map(|n| Some(n.as_str()?.to_owned())).collect();
    if let Some(first) = names.first() {
        let inner = join(&join(path, "labels")?, first).unwrap_or_default();
        let (all, inner) = (named(&names), inner.trim_start_matches('/'));
        warnings.push(format!(
            "label images lie beside it and were not read: {all}; --dataset {inner} reads one"
        ));
    }
    Ok(())
}

/// The images of a file with several, as bioformats2raw writes them: numbered groups.
fn series(
    store: &Arc<Store>,
    path: &str,
    said: &Map<String, Value>,
    children: &[String],
) -> Result<Vec<String>, String> {
    if let Some(group) = node(store, &join(path, "OME")?)? {
        let names = ome(&group.attributes).get("series").and_then(Value::as_array);
        let names: Vec<String> =
            names.into_iter().flatten().filter_map(|n| Some(n.as_str()?.to_owned())).collect();
        if !names.is_empty() {
            return Ok(names);
        }
    }
    let is_image = |name: &String| -> Result<bool, String> {
        Ok(node(store, &join(path, name)?)?.is_some_and(|node| !multiscales(&node.attributes).is_empty()))
    };
    if !said.contains_key("bioformats2raw.layout") && !is_image(&"0".to_owned())? {
        return Ok(Vec::new());
    }
    let mut numbered: Vec<(u32, &String)> =
        children.iter().filter_map(|name| Some((name.parse().ok()?, name))).collect();
    numbered.sort_unstable();
    let mut images = Vec::new();
    for (_, name) in numbered.into_iter().take(10_000) {
        if is_image(name)? {
            images.push(name.clone());
        }
    }
    Ok(images)
}

fn images_among(store: &Arc<Store>, path: &str, children: &[String]) -> Result<Vec<String>, String> {
    let mut images = Vec::new();
    for name in children.iter().take(1000) {
        if node(store, &join(path, name)?)?.is_some_and(|node| !multiscales(&node.attributes).is_empty()) {
            images.push(name.clone());
        }
    }
    Ok(images)
}

/// Names of the groups and arrays inside a group, in order.
fn children(store: &Arc<Store>, path: &str) -> Result<Vec<String>, String> {
    let inner = path.trim_start_matches('/');
    let prefix = if inner.is_empty() {
        StorePrefix::root()
    } else {
        StorePrefix::new(format!("{inner}/")).map_err(super::text)?
    };
    let listed = store.list_dir(&prefix).map_err(super::text)?;
    let mut names = Vec::new();
    for prefix in listed.prefixes() {
        let Some(name) = prefix.as_str().trim_end_matches('/').rsplit('/').next() else { continue };
        let is_node = ["zarr.json", ".zgroup", ".zarray"].iter().any(|file| {
            let key = StoreKey::new(format!("{}{file}", prefix.as_str()));
            key.is_ok_and(|key| store.size_key(&key).is_ok_and(|size| size.is_some()))
        });
        if is_node {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// Names as part of a sentence.
fn named(names: &[String]) -> String {
    let mut text = names.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MAX_NAMED {
        text.push_str(&format!(" and {} more", names.len() - MAX_NAMED));
    }
    if names.is_empty() { "nothing".to_owned() } else { text }
}
