//! The chain of directories: which pages a file has, and which of them make its stack.

use std::collections::HashSet;
use std::fs::File;

use super::container::{Container, Directory};
use super::notes::shown;
use super::page::{Form, may_lack, tag};

/// Most directories that are walked through.
const MAX_PAGES: usize = 1 << 20;
/// Most kinds of pages that are told apart.
const MAX_FORMS: usize = 64;

/// One page of the chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Note {
    /// Where its directory begins.
    pub(super) offset: u64,
    /// Which form it has; `None` where it cannot be read.
    form: Option<usize>,
    /// Whether it is a smaller copy or a mask of another page.
    is_reduced: bool,
}

/// All pages of a file, in their order.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) notes: Vec<Note>,
    /// The kinds of pages, and how many there are of each.
    forms: Vec<(Form, usize)>,
    /// Why the first page that cannot be read cannot.
    problem: Option<String>,
    /// What stopped the walk before the end.
    pub(super) cut: Option<String>,
    /// Whether a page may lack some of its strips or tiles.
    pub(super) may_lack: bool,
    /// The first orientation that is not "as stored", and how many pages are to be shown turned or mirrored.
    pub(super) turned: Option<(u64, usize)>,
}

/// Walks through the directories of a file; at most `n` of them.
pub(super) fn walk(container: &Container, file: &File, n: usize) -> Chain {
    let mut chain = Chain::default();
    let mut seen = HashSet::new();
    let mut at = container.first();
    while at != 0 && chain.notes.len() < n.min(MAX_PAGES) {
        if !seen.insert(at) {
            chain.cut = Some("its pages run in a circle".to_owned());
            break;
        }
        match container.directory(file, at) {
            Ok(directory) => {
                chain.note(container, file, &directory);
                at = directory.next;
            }
            Err(problem) => {
                chain.cut = Some(problem);
                break;
            }
        }
    }
    chain
}

impl Chain {
    fn note(&mut self, container: &Container, file: &File, directory: &Directory) {
        let subfile = container.count(file, directory, tag::SUBFILE).ok().flatten().unwrap_or(0);
        let is_reduced = subfile & 5 != 0;
        let form = match Form::of(container, file, directory) {
            Ok(form) => self.form_number(form, is_reduced),
            Err(problem) => {
                self.problem.get_or_insert(problem);
                None
            }
        };
        self.may_lack |= may_lack(container, file, directory);
        let orientation = container.count(file, directory, tag::ORIENTATION).ok().flatten();
        if let Some(orientation) = orientation.filter(|n| !is_reduced && shown(*n).is_some()) {
            self.turned.get_or_insert((orientation, 0)).1 += 1;
        }
        self.notes.push(Note { offset: directory.offset, form, is_reduced });
    }

    fn form_number(&mut self, form: Form, is_reduced: bool) -> Option<usize> {
        let number = match self.forms.iter().position(|(known, _)| *known == form) {
            Some(number) => number,
            None if self.forms.len() < MAX_FORMS => {
                self.forms.push((form, 0));
                self.forms.len() - 1
            }
            None => return None,
        };
        self.forms[number].1 += usize::from(!is_reduced);
        Some(number)
    }

    /// The form of a page.
    pub(super) fn form(&self, page: usize) -> Option<Form> {
        self.forms.get(self.notes.get(page)?.form?).map(|(form, _)| *form)
    }

    /// The form that most pages have, of equally many the first one.
    pub(super) fn main_form(&self) -> Result<Form, String> {
        let most = self.forms.iter().map(|(_, n)| *n).max().unwrap_or(0);
        match self.forms.iter().find(|(_, n)| *n == most) {
            Some((form, _)) => Ok(*form),
            None => Err(self.problem.clone().or_else(|| self.cut.clone()).map_or_else(
                || "a TIFF without a page; copy it again".to_owned(),
                |problem| {
                    if self.notes.is_empty() {
                        format!("damaged TIFF: {problem}; copy it again")
                    } else {
                        problem
                    }
                },
            )),
        }
    }

    /// The pages of a form that are no smaller copies; all of that form where each calls itself one.
    pub(super) fn of_form(&self, form: Form) -> Vec<&Note> {
        let number = self.forms.iter().position(|(known, _)| *known == form);
        let all = || self.notes.iter().filter(move |note| note.form == number);
        let whole: Vec<&Note> = all().filter(|note| !note.is_reduced).collect();
        if whole.is_empty() { all().collect() } else { whole }
    }

    /// How many pages are no smaller copies and have no name.
    pub(super) fn n_unnamed(&self, is_named: &[bool]) -> usize {
        self.notes.iter().zip(is_named).filter(|(note, is_named)| !note.is_reduced && !**is_named).count()
    }

    /// What is left out where only the pages of `form` are read, as a sentence.
    pub(super) fn left_out(&self, form: Form) -> Option<String> {
        let n_read = self.of_form(form).len();
        let n_reduced = self.notes.iter().filter(|note| note.is_reduced).count();
        let n_other = self.notes.len() - n_read;
        if n_other == 0 {
            return None;
        }
        let [_, rows, cols] = form.shape;
        let what = if n_other <= n_reduced {
            "smaller copies (thumbnails, levels of a pyramid) or masks".to_owned()
        } else {
            "pages of another size or type".to_owned()
        };
        Some(format!("{n_read} pages of {rows} × {cols} were read, {n_other} {what} are left out"))
    }
}
