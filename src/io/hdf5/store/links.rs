//! The links of a group, as they stand in the file: names, and where they lead.

use hdf5_reader::btree_v1::collect_btree_v1_leaves_storage;
use hdf5_reader::btree_v2::{BTreeV2Header, BTreeV2Record, collect_btree_v2_records_storage};
use hdf5_reader::fractal_heap::{FractalHeap, FractalHeapDirectBlockCache};
use hdf5_reader::io::Cursor;
use hdf5_reader::local_heap::LocalHeap;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::link::{self, LinkTarget};
use hdf5_reader::messages::link_info::LinkInfoMessage;
use hdf5_reader::messages::symbol_table_msg::SymbolTableMessage;
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::symbol_table::SymbolTableNode;
use hdf5_reader::{Hdf5File, Storage};

use super::overlay::number;
use super::text;

/// A name and where it leads.
pub(super) type Link = (String, LinkTarget);

/// Links of one group that are looked at.
const MAX_LINKS: usize = 1_000_000;

/// All links of the group with this header, in the order of the file.
pub(super) fn links(file: &Hdf5File, header: &ObjectHeader) -> Result<Vec<Link>, String> {
    let mut found = Vec::new();
    for message in &header.messages {
        match message {
            HdfMessage::SymbolTable(table) => found.extend(of_symbol_table(file, table)?),
            HdfMessage::Link(link) => found.push((link.name.clone(), link.target.clone())),
            HdfMessage::LinkInfo(info) => found.extend(of_heap(file, info)?),
            _ => {}
        }
        if found.len() > MAX_LINKS {
            return Err(format!("more than {MAX_LINKS} links in one group"));
        }
    }
    Ok(found)
}

/// Sizes of addresses and lengths in a file.
fn sizes(file: &Hdf5File) -> (u8, u8) {
    (file.superblock().offset_size, file.superblock().length_size)
}

/// Groups of the old form: a tree of nodes, names in a heap.
fn of_symbol_table(file: &Hdf5File, table: &SymbolTableMessage) -> Result<Vec<Link>, String> {
    let (storage, (offset, length)) = (file.storage(), sizes(file));
    let heap = LocalHeap::parse_at_storage(storage, table.heap_address, offset, length).map_err(text)?;
    let names = usize::try_from(heap.data_segment_size).map_err(text)?;
    let names = storage.read_range(heap.data_segment_address, names).map_err(text)?;
    let leaves =
        collect_btree_v1_leaves_storage(storage, table.btree_address, offset, length, None, &[], None)
            .map_err(text)?;
    let mut found = Vec::new();
    for (_key, address) in leaves {
        let node = node_at(storage, address, offset, length)?;
        for entry in &node.entries {
            let Some(name) = terminated(&names, entry.link_name_offset) else { continue };
            let target = if entry.cache_type == 2 {
                let at = number(&entry.scratch[..4]);
                terminated(&names, at).map(|path| LinkTarget::Soft { path })
            } else {
                Some(LinkTarget::Hard { address: entry.object_header_address })
            };
            found.extend(target.map(|target| (name, target)));
        }
    }
    Ok(found)
}

fn node_at(storage: &dyn Storage, address: u64, offset: u8, length: u8) -> Result<SymbolTableNode, String> {
    let prefix = storage.read_range(address, 8).map_err(text)?;
    let n = number(&prefix[6..8]) as usize;
    let bytes = storage.read_range(address, 8 + n * (2 * usize::from(offset) + 24)).map_err(text)?;
    SymbolTableNode::parse(&mut Cursor::new(&bytes), offset, length).map_err(text)
}

/// The text from `at` to the next zero.
fn terminated(bytes: &[u8], at: u64) -> Option<String> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    let n = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..n]).into_owned())
}

/// Groups of many links: messages in a heap, found by a tree.
fn of_heap(file: &Hdf5File, info: &LinkInfoMessage) -> Result<Vec<Link>, String> {
    let (storage, (offset, length)) = (file.storage(), sizes(file));
    if Cursor::is_undefined_offset(info.fractal_heap_address, offset) {
        return Ok(Vec::new());
    }
    let heap =
        FractalHeap::parse_at_storage(storage, info.fractal_heap_address, offset, length).map_err(text)?;
    let tree = BTreeV2Header::parse_at_storage(storage, info.btree_name_index_address, offset, length)
        .map_err(text)?;
    let records = collect_btree_v2_records_storage(storage, &tree, offset, length, None, &[], None);
    let mut cache = FractalHeapDirectBlockCache::default();
    let mut found = Vec::new();
    for record in records.map_err(text)? {
        let (BTreeV2Record::LinkNameHash { heap_id, .. } | BTreeV2Record::CreationOrder { heap_id, .. }) =
            record
        else {
            continue;
        };
        let bytes =
            heap.get_object_storage_cached(&heap_id, storage, offset, length, &mut cache).map_err(text)?;
        // A kind of link of somebody's own is passed over.
        if let Ok(link) = link::parse(&mut Cursor::new(&bytes), offset, length, bytes.len()) {
            found.push((link.name, link.target));
        }
    }
    Ok(found)
}
