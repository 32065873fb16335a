// Package meter counts how long things take, at the cost of two atomic additions: no locks and no
// allocation. What reads the counts sees each of them whole, and a count that began meanwhile in
// either of two that belong together.
//
// It neither names what is counted nor exports it: that is for who owns a [Histogram].
package meter
