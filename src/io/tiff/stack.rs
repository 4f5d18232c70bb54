//! From the pages of a file, or of a set of files, to the planes of one channel at one time.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::chain::{Chain, walk};
use super::container::{Container, Directory};
use super::image_j;
use super::notes::notes as page_notes;
use super::ome::{self, Image, Ome, Place};
use super::page::{Form, Page, tag};
use super::planes::{Missing, Planes, Spot};
use super::said::{Axes, Resolution, Said};
use super::{shaped, vendor};
use crate::io::beside::is_inside;
use crate::io::choice::ReadOptions;
use crate::io::format::ArrayEntry;

/// Pages that are walked through in the other files of a set.
const ALL_PAGES: usize = usize::MAX;
/// Most planes of all images of a file that are gone through to find pages without a name.
const MOST_NAMED: usize = 4 << 20;
/// ImageJ's tags of slice labels: their lengths and their bytes.
const LABEL_LENGTHS: u16 = 50838;
const LABELS: u16 = 50839;

/// The planes that were asked for, and all that is said about them.
pub(super) struct Stack {
    pub(super) planes: Planes,
    pub(super) spots: Vec<Spot>,
    pub(super) page: Page,
    pub(super) axes: Axes,
    /// Samples of a pixel that count as channels.
    pub(super) n_samples: usize,
    pub(super) said: Said,
    pub(super) resolution: Resolution,
}

/// A file with its pages.
struct Book {
    container: Container,
    chain: Chain,
    form: Form,
    first: Directory,
    page: Page,
}

impl Book {
    fn open(path: &Path) -> Result<(Self, std::sync::Arc<File>), String> {
        let container = Container::open(path, true)?;
        let file = container.file()?;
        let chain = walk(&container, &file, ALL_PAGES);
        let form = chain.main_form()?;
        let offset = chain.of_form(form).first().map_or(container.first(), |note| note.offset);
        let first = container.directory(&file, offset)?;
        let page = Page::of(&container, &file, &first)?;
        Ok((Self { container, chain, form, first, page }, file))
    }
}

/// Opens a file and finds the planes of the channel and time that are chosen.
pub(super) fn open(path: &Path, options: &ReadOptions) -> Result<Stack, String> {
    let (book, file) = Book::open(path)?;
    // What describes a file stands in its first page, whichever pages are read.
    let head = book.container.directory(&file, book.container.first())?;
    let text = book.container.text(&file, &head, tag::DESCRIPTION).unwrap_or_default();
    if ome::is_ome(&text) {
        match ome_images(&text, path) {
            Ok(images) => return of_ome(path, Some((book, &file)), images, options),
            Err(problem) => {
                let warning = format!("{problem}; the pages were read in the order of the file");
                return of_pages(book, &file, "", options, vec![warning]);
            }
        }
    }
    of_pages(book, &file, &text, options, Vec::new())
}

/// Opens the description of a set that lies beside its files (`NAME.companion.ome`).
pub(super) fn open_companion(path: &Path, text: &str, options: &ReadOptions) -> Result<Stack, String> {
    of_ome(path, None, ome_images(text, path)?, options)
}

/// The images that a file lists in OME-XML; none where it has no such description.
pub(super) fn images(path: &Path, companion: Option<String>) -> Result<Vec<ArrayEntry>, String> {
    let text = match companion {
        Some(text) => text,
        None => {
            let container = Container::open(path, true)?;
            let file = container.file()?;
            let head = container.directory(&file, container.first())?;
            container.text(&file, &head, tag::DESCRIPTION).unwrap_or_default()
        }
    };
    if !ome::is_ome(&text) {
        return Ok(Vec::new());
    }
    Ok(ome_images(&text, path)?.iter().enumerate().map(|(index, image)| image.listed(index)).collect())
}

/// The images that a description lists, or that the one lists which it points to.
fn ome_images(text: &str, path: &Path) -> Result<Vec<Image>, String> {
    match ome::parse(text)? {
        Ome::Images(images) => Ok(images),
        Ome::ElsewhereIn(name) => {
            let missing = || format!("its description lies in {name}, which is not beside it");
            let beside = beside(path, &name).ok_or_else(missing)?;
            let text = std::fs::read(&beside).map_err(|_e| missing())?;
            match ome::parse(&super::container::text_of(&text))? {
                Ome::Images(images) => Ok(images),
                Ome::ElsewhereIn(_) => Err(format!("{name} names another file for its description")),
            }
        }
    }
}

/// A file of the set in the folder of `path`, never outside it.
fn beside(path: &Path, name: &str) -> Option<std::path::PathBuf> {
    let name = Path::new(name);
    let name = if is_inside(name) { name } else { Path::new(name.file_name()?) };
    Some(path.parent()?.join(name)).filter(|beside| beside.is_file())
}

/// Resolution tags of a page.
fn resolution(container: &Container, file: &File, from: &Directory) -> Resolution {
    let real = |tag| {
        let value = container.reals(file, from, tag).ok()?.first().copied()?;
        Some(value).filter(|v| v.is_finite() && *v > 0.0)
    };
    let um_per_unit = match container.count(file, from, tag::RESOLUTION_UNIT).ok().flatten() {
        Some(3) => Some(1e4),
        Some(2) | None => Some(25400.0),
        _ => None,
    };
    Resolution { per_unit_xy: [real(tag::X_RESOLUTION), real(tag::Y_RESOLUTION)], um_per_unit }
}

/// A file whose pages are in order: ImageJ's, tifffile's, those of microscopes, and plain ones.
fn of_pages(
    book: Book,
    file: &File,
    text: &str,
    options: &ReadOptions,
    mut warnings: Vec<String>,
) -> Result<Stack, String> {
    if let Some(dataset) = &options.dataset {
        return Err(format!(
            "--dataset {dataset} chooses an image of an OME-TIFF; this file has no such description, its pages are one stack"
        ));
    }
    let (container, form, page) = (&book.container, book.form, &book.page);
    let of_vendor = vendor::parse(container, file, &book.first, page);
    let of_shape = shaped::parse(text, form, page.is_planar)?;
    // Grey samples in planes of their own are a stack, unless their maker says more.
    let extra = container.numbers(file, &book.first, tag::EXTRA_SAMPLES).unwrap_or_default();
    let has_opacity = extra.iter().any(|kind| matches!(kind, 1 | 2));
    let samples_are_planes = page.is_planar
        && !has_opacity
        && of_vendor.is_none()
        && of_shape.as_ref().map_or(page.photometric <= 1, |said| said.samples_are_planes);
    let n_samples = if samples_are_planes { 1 } else { form.n_samples };
    let notes = book.chain.of_form(form);
    let n_pages = notes.len() * form.shape[0] * if samples_are_planes { form.n_samples } else { 1 };
    let mut said = match (of_vendor, of_shape) {
        (Some(said), _) | (None, Some(said)) => said,
        (None, None) if image_j::is_image_j(text) => {
            let mut said = image_j::parse(text, n_pages, n_samples);
            if said.is_signed_16 && form.stored != super::page::Stored::Unsigned(16) {
                said.is_signed_16 = false;
            }
            said
        }
        (None, None) => own_text(text),
    };
    if samples_are_planes {
        warnings
            .push(format!("{} pictures stored like the colours of one were read as planes", form.n_samples));
    }
    let mut frames: Vec<Spot> = Vec::new();
    if let Some(behind) = frames_behind(&book, &said, n_pages, n_samples, &mut warnings) {
        frames = behind;
    } else {
        for note in &notes {
            for sample in 0..if samples_are_planes { form.n_samples } else { 1 } {
                frames.extend((0..form.shape[0]).map(|plane| Spot {
                    file: 0,
                    directory: note.offset,
                    shift: 0,
                    plane,
                    sample,
                }));
            }
        }
        warnings.extend(book.chain.left_out(form));
    }
    if let Some(cut) = &book.chain.cut {
        warnings.push(format!(
            "the file is damaged behind page {}: {cut}; the pages up to there were read, copy it again for the rest",
            book.chain.notes.len()
        ));
    }
    let axes = series(&said, text, &book, frames.len(), &mut warnings);
    let mut labels = channel_names(container, file, &book.first, axes, frames.len());
    said.channel_names.append(&mut labels);
    if said.voxel_um[2].is_none()
        && let Some([y, x]) = vendor::electron_pixel_um(container, file, &book.first)
    {
        (said.voxel_um[1], said.voxel_um[2]) = (Some(y), Some(x));
    }
    said.warnings.splice(..0, warnings);
    said.warnings.extend(page_notes(container, file, &book.first, Some(&book.chain)));
    let resolution = resolution(container, file, &book.first);
    let mut planes = Planes::new(vec![book.container], form.shape);
    planes.may_lack = book.chain.may_lack;
    let frame = |i: usize| frames.get(i).copied();
    Stack::chosen(planes, book.page, axes, n_samples, said, resolution, options, frame)
}

/// A description of nobody known, perhaps with our own line.
fn own_text(text: &str) -> Said {
    let own = text.lines().find_map(|line| line.strip_prefix(super::said::OWN_LINE));
    Said { own: own.and_then(|json| serde_json::from_str(json).ok()), ..Said::default() }
}

/// Frames that lie behind the first page without a directory of their own.
fn frames_behind(
    book: &Book,
    said: &Said,
    n_pages: usize,
    n_samples: usize,
    warnings: &mut Vec<String>,
) -> Option<Vec<Spot>> {
    let n = said.n_images.filter(|n| *n > n_pages && book.form.shape[0] == 1)?;
    if n_samples != book.form.n_samples {
        return None;
    }
    let (at, own) =
        book.page.contiguous().or_else(|| Some((*book.page.offsets.first()?, said.frame_bytes?)))?;
    if book.page.n_missing > 0 {
        return None;
    }
    let bytes = said.frame_bytes.unwrap_or(own).max(1);
    // They end where the next directory begins, if it lies behind them at all.
    let next = book.chain.notes.iter().map(|note| note.offset).filter(|offset| *offset > at).min();
    let end = next.unwrap_or(book.container.length);
    let room = usize::try_from(end.saturating_sub(at) / bytes).unwrap_or(usize::MAX);
    if room <= 1 && n_pages > 1 {
        return None;
    }
    let n_there = n.min(room).max(1);
    if n_there < n {
        warnings.push(format!(
            "the description promises {n} pictures, the file ends after {n_there}; copy it again for the rest"
        ));
    }
    let directory = book.first.offset;
    let spot = |i: usize| Spot { file: 0, directory, shift: i as u64 * bytes, plane: 0, sample: 0 };
    (n_there <= 1 << 24).then(|| (0..n_there).map(spot).collect())
}

/// How `n` frames are ordered; of several series in a file the first.
fn series(said: &Said, text: &str, book: &Book, n: usize, warnings: &mut Vec<String>) -> Axes {
    let of_first =
        shaped::n_frames(text, book.form, book.page.is_planar).filter(|first| *first > 0 && *first < n);
    let axes = match said.axes {
        // Pictures appended one by one are a stack.
        Some(axes) if of_first != Some(1) => axes,
        _ => return Axes::planes(n),
    };
    let needed = axes.n_frames().filter(|needed| *needed < n);
    if let Some(first) = of_first {
        let more = n - first;
        warnings
            .push(format!("the first series of {first} pictures was read, {more} further ones are left out"));
    } else if let Some(needed) = needed {
        let more = n - needed;
        warnings.push(format!("the description counts {needed} pictures; {more} further ones are left out"));
    }
    axes
}

fn channel_names(container: &Container, file: &File, from: &Directory, axes: Axes, n: usize) -> Vec<String> {
    let lengths = container.numbers(file, from, LABEL_LENGTHS).unwrap_or_default();
    let bytes = container.raw(file, from, LABELS).ok().flatten().unwrap_or_default();
    if axes.n_channels < 2 || axes.channel_step != 1 || axes.n_frames() != Some(n) {
        return Vec::new();
    }
    image_j::labels(&lengths, &bytes, axes.n_channels)
}

/// The other files of an OME set, walked through when they are first needed.
#[derive(Default)]
struct Set {
    books: BTreeMap<String, Option<(Container, Chain)>>,
}

impl Set {
    fn chain(&mut self, path: &Path, name: &str) -> Option<&(Container, Chain)> {
        if !self.books.contains_key(name) {
            let opened = beside(path, name).and_then(|path| {
                let container = Container::open(&path, false).ok()?;
                let file = container.file().ok()?;
                let chain = walk(&container, &file, ALL_PAGES);
                Some((container, chain))
            });
            self.books.insert(name.to_owned(), opened);
        }
        self.books.get(name)?.as_ref()
    }
}

/// An image of OME-XML, its planes in this file or in others of the set.
fn of_ome(
    path: &Path,
    own: Option<(Book, &File)>,
    images: Vec<Image>,
    options: &ReadOptions,
) -> Result<Stack, String> {
    let n_images = images.len();
    let own_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let n_unnamed = own.as_ref().map_or(0, |(book, _)| n_unnamed(&images, book, &own_name));
    let (index, image) = chosen_image(images, options.dataset.as_deref())?;
    let mut set = Set::default();
    let n_own = own.as_ref().map_or(0, |(book, _)| book.chain.notes.len());
    let mut n_samples = own.as_ref().map_or(1, |(book, _)| book.form.n_samples);
    let places = |n_samples: usize, set: &mut Set| {
        let axes = image.axes(n_samples).ok_or("OME-XML of too many planes")?;
        let n_pages = &mut |name: Option<&str>| match name {
            None => n_own,
            Some(name) => set.chain(path, name).map_or(0, |(_, chain)| chain.notes.len()),
        };
        Ok::<_, String>((axes, image.places(axes, n_samples, &own_name, n_pages)?))
    };
    let (mut axes, mut found) = places(n_samples, &mut set)?;
    // The form of the first plane that is there tells how many samples a pixel has.
    let form_of = |place: &Place, set: &mut Set| match &place.name {
        None => own.as_ref().and_then(|(book, _)| book.chain.form(place.ifd)),
        Some(name) => set.chain(path, name).and_then(|(_, chain)| chain.form(place.ifd)),
    };
    let first_there = |found: &[Option<Place>], set: &mut Set| {
        found.iter().flatten().find_map(|place| Some((place.clone(), form_of(place, set)?)))
    };
    let missing = || {
        let name = found.iter().flatten().find_map(|place| place.name.clone());
        let what = name.map_or_else(String::new, |name| format!("; {name} belongs beside it"));
        format!("none of the planes of this OME-TIFF is there{what}")
    };
    let (_, form) = first_there(&found, &mut set).ok_or_else(missing)?;
    if form.n_samples != n_samples {
        n_samples = form.n_samples;
        (axes, found) = places(n_samples, &mut set)?;
    }
    let axes = axes;
    let mut said = image.said.clone();
    said.warnings.extend(image.contradicts(form));
    said.warnings.extend(
        (n_unnamed > 0).then(|| {
            format!("{n_unnamed} of {n_own} pages are not named by the description and were left out")
        }),
    );
    let n_placed = found.iter().flatten().count();
    // Where every page is taken, the file is cut short.
    said.unplaced = (n_placed < found.len() && n_unnamed > 0).then(|| {
        format!("the description counts {} planes and says of {n_placed} where they are", found.len())
    });
    if n_images > 1 {
        let name = if image.name.is_empty() { String::new() } else { format!(" ({})", image.name) };
        said.warnings.push(format!(
            "image {index}{name} of {n_images} was read; --dataset takes another, by its number or name"
        ));
        said.guessed = options.dataset.is_none().then(|| index.to_string());
    }
    // Files get their numbers as they are needed; the one that was asked for is the first.
    let mut names: Vec<Option<String>> = own.iter().map(|_| None).collect();
    let mut frames = Vec::with_capacity(found.len());
    for place in &found {
        frames.push(match place {
            Some(place) => ome_spot(place, form, &mut names, &mut |place| match &place.name {
                None => {
                    let (book, _) = own.as_ref()?;
                    Some((book.chain.notes.get(place.ifd)?.offset, book.chain.form(place.ifd)?))
                }
                Some(name) => {
                    let (_, chain) = set.chain(path, name)?;
                    Some((chain.notes.get(place.ifd)?.offset, chain.form(place.ifd)?))
                }
            })?,
            None => None,
        });
    }
    let mut files = Vec::new();
    for name in &names {
        files.push(match name {
            None => own.as_ref().map(|(book, _)| book.container.clone()),
            Some(name) => set.chain(path, name).map(|(container, _)| container.clone()),
        });
    }
    let files: Vec<Container> = files.into_iter().flatten().collect();
    let first = frames
        .iter()
        .flatten()
        .next()
        .ok_or_else(|| "none of the planes of this OME-TIFF is there".to_owned())?;
    let container = files.get(first.file).ok_or("a file of the set is missing")?;
    let file = container.file()?;
    let directory = container.directory(&file, first.directory)?;
    let page = Page::of(container, &file, &directory)?;
    let own_chain = own.as_ref().map(|(book, _)| &book.chain);
    said.warnings.extend(page_notes(container, &file, &directory, own_chain));
    if let Some(cut) = own.as_ref().and_then(|(book, _)| book.chain.cut.as_ref()) {
        said.warnings
            .push(format!("the file is damaged behind page {n_own}: {cut}; copy it again for the rest"));
    }
    let missing_files: Vec<String> =
        set.books.iter().filter(|(_, book)| book.is_none()).map(|(name, _)| name.clone()).collect();
    if !missing_files.is_empty() {
        said.warnings.push(format!("files of the set are not beside it: {}", missing_files.join(", ")));
    }
    let mut planes = Planes::new(files, form.shape);
    let mut chains = set.books.values().flatten().map(|(_, chain)| chain).chain(own_chain);
    planes.may_lack = chains.any(|chain| chain.may_lack);
    let frame = |i: usize| frames.get(i).copied().flatten();
    Stack::chosen(planes, page, axes, n_samples, said, Resolution::default(), options, frame)
}

/// How many pages of a file none of its images names; smaller copies do not count.
fn n_unnamed(images: &[Image], book: &Book, own_name: &str) -> usize {
    let (n_pages, n_samples) = (book.chain.notes.len(), book.form.n_samples);
    let mut is_named = vec![false; n_pages];
    let mut n_left = MOST_NAMED;
    for image in images {
        let Some(axes) = image.axes(n_samples) else { continue };
        n_left = match axes.n_frames().and_then(|n| n_left.checked_sub(n)) {
            Some(n) => n,
            // Too many to be gone through.
            None => return 0,
        };
        let n_pages = &mut |name: Option<&str>| if name.is_none() { n_pages } else { 0 };
        let places = image.places(axes, n_samples, own_name, n_pages).unwrap_or_default();
        for place in places.into_iter().flatten().filter(|place| place.name.is_none()) {
            is_named.get_mut(place.ifd).into_iter().for_each(|named| *named = true);
        }
    }
    book.chain.n_unnamed(&is_named)
}

/// Finds the spot of a plane; `None` where its page or file is missing.
fn ome_spot(
    place: &Place,
    form: Form,
    names: &mut Vec<Option<String>>,
    find: &mut dyn FnMut(&Place) -> Option<(u64, Form)>,
) -> Result<Option<Spot>, String> {
    let Some((directory, of_page)) = find(place) else { return Ok(None) };
    if of_page != form {
        let ([_, a, b], [_, c, d]) = (form.shape, of_page.shape);
        return Err(format!(
            "the planes of this OME-TIFF differ in size or type ({a} × {b} and {c} × {d}); save those of one kind"
        ));
    }
    let file = match names.iter().position(|name| *name == place.name) {
        Some(file) => file,
        None => {
            names.push(place.name.clone());
            names.len() - 1
        }
    };
    Ok(Some(Spot { file, directory, shift: 0, plane: 0, sample: 0 }))
}

/// The image that is chosen by number, id or name; without a choice the first.
fn chosen_image(images: Vec<Image>, wanted: Option<&str>) -> Result<(usize, Image), String> {
    let Some(wanted) = wanted else {
        return images.into_iter().enumerate().next().ok_or_else(|| "OME-XML without an image".to_owned());
    };
    let names: Vec<String> = images.iter().map(|image| format!("{} {}", image.id, image.name)).collect();
    let is_it =
        |(i, image): &(usize, Image)| image.id == wanted || image.name == wanted || wanted.parse() == Ok(*i);
    images
        .into_iter()
        .enumerate()
        .find(is_it)
        .ok_or_else(|| format!("no image {wanted}; the file has {}", names.join(", ")))
}

impl Stack {
    #[expect(clippy::too_many_arguments, reason = "the parts of a stack, put together in one place")]
    fn chosen(
        planes: Planes,
        page: Page,
        axes: Axes,
        n_samples: usize,
        mut said: Said,
        resolution: Resolution,
        options: &ReadOptions,
        frame: impl Fn(usize) -> Option<Spot>,
    ) -> Result<Self, String> {
        let n_times = axes.n_times;
        let axes = axes.with_times_as_planes();
        if n_times > axes.n_times {
            said.warnings.push(format!("{n_times} times of one plane each were read as {n_times} planes"));
        }
        // What the file lacks is refused by the caller, in the same words for every format.
        let channel = options.channel.filter(|c| *c < axes.n_channels * n_samples).unwrap_or(0);
        let time = options.time.filter(|t| *t < axes.n_times).unwrap_or(0);
        let first = channel / n_samples * axes.channel_step + time * axes.time_step;
        let found: Vec<Option<Spot>> =
            (0..axes.n_planes).map(|plane| frame(first + plane * axes.plane_step)).collect();
        let n_there = found.iter().take_while(|spot| spot.is_some()).count();
        if found[n_there..].iter().any(Option::is_some) || n_there == 0 {
            let lacking: Vec<String> =
                (0..found.len()).filter(|i| found[*i].is_none()).take(8).map(|i| i.to_string()).collect();
            return Err(format!(
                "planes that the description promises are not there ({} of {}: {} …); put the files of the set beside each other or copy it again",
                found.iter().filter(|spot| spot.is_none()).count(),
                found.len(),
                lacking.join(", ")
            ));
        }
        let sample = channel % n_samples;
        let mut spots: Vec<Spot> = found.into_iter().flatten().collect();
        if n_samples > 1 {
            spots.iter_mut().for_each(|spot| spot.sample = sample);
        }
        let whole = planes.n_whole(&spots)?;
        if whole < axes.n_planes {
            let n = axes.n_planes;
            said.warnings.push(match said.unplaced.as_ref().filter(|_| whole == n_there) {
                Some(unplaced) => format!("{unplaced}: {whole} of {n} planes were read"),
                None => format!(
                    "the file is cut short: {whole} of {n} planes are there and were read; copy it again for the rest"
                ),
            });
            spots.truncate(whole);
        }
        if whole == 0 {
            return Err("truncated: the file ends before its first plane does; copy it again".to_owned());
        }
        if planes.may_lack {
            said.warnings.extend(planes.missing(&spots)?.map(Missing::said));
        }
        Ok(Self { planes, spots, page, axes, n_samples, said, resolution })
    }
}
