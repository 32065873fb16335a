// Package extent is the structure of a content: which bytes come from which
// payload. It is pure: it reads pages through an interface and returns what to
// write, what is referred to once more and what once less.
//
// # Words
//
//   - A payload is an immutable run of bytes: an inline value in the key-value
//     store or a blob file. A [Source] is a place in one.
//   - An [Extent] is a range of a content and its source; a hole reads as zeros.
//   - A block is 4 MiB, the unit of content hashing. Its digest lies with the
//     payload if one payload holds the block whole, else in a page.
//   - A [Content] is a size and the root of a tree. The root is a hole, one run
//     of one payload (the common case, nothing else is stored) or a page.
//   - A leaf page holds the extents of one block, a page of level n the slots of 64 pages of level
//     n-1, the digests of leaves among them. Pages are immutable and shared between contents: an
//     edit writes the pages on the path to the blocks it touches, and nothing else.
//   - A reference is an edge: from a record to the root, from a page to the
//     pages and payloads it names (one each, however often named). A page or payload nobody refers to goes.
//
// # Guarantees
//
// Extents are ordered, adjacent and never empty; neighbours that continue each
// other are one. The cost of an edit depends on the blocks it touches and on
// the depth of the tree (5 at the most), not on the size of the content.
// Decoding takes any bytes: it returns a valid value or an error that is objstore.ErrCorrupt.
//
// # References
//
// Apply with consume set says that the base is replaced and nobody else's record refers to its
// root: references of pages that only the base used *move* to their successors. Such pages are
// Freed, and are removed without touching what they refer to. Without consume, or where a page is
// shared, the new page *gains* references and the old one keeps its own. (An edit that changes nothing, without consume, is how a copy shares a content.) A base that was
// replaced meanwhile has freed pages: a content that uses one again revives
// it: its removal is cancelled and it gains its references anew.
//
// # What it does not do
//
// No counting, no storage, no reading of payloads. It is not told what is pinned: the caller keeps
// what is Freed and Dropped until no reader of the base is left.
package extent
