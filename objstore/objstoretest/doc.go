// Package objstoretest is the conformance suite of package objstore: every
// store, and every wrapper around one, passes it.
//
// # Use
//
//	func TestConformance(t *testing.T) {
//		objstoretest.Run(t, objstoretest.Config{
//			Open:   func(ctx context.Context) (*objstoretest.Subject, error) { ... },
//			Oracle: func(ctx context.Context) (*objstoretest.Subject, error) { ... }, // memstore
//			Sizes:  []int64{inlineBytesMax, blockBytes},
//		})
//	}
//
// Every case opens a fresh [Subject], works on it, runs its Check if there is
// one, and closes it. A subject that implements [objstore.Namespace] passes it in
// Namespace; one whose state survives a crash sets Reopen. Cases that need what a subject
// does not have are not offered to it; that it has what it claims, and claims what it has, is a case itself.
//
// Random cases derive everything from Config.Seed; a failure names the seed, and
// OBJSTORETEST_SEED=n in the environment runs it again. OBJSTORETEST_LONG=1
// adds the long cases (5 GiB of zeros, longer random runs), which are skipped otherwise. Both variables count
// only where the Config leaves the field zero.
//
// # Words
//
//   - A [Case] is a claim with a name. It returns an error instead of taking a
//     [testing.T], so that the suite itself can be tested: broken stores are each
//     caught by the case whose name says what is broken.
//   - The oracle is a second store the random cases compare results with. There
//     are none without it.
//
// # What it does not do
//
// It does not measure, and it does not cut power: Reopen is the store's own.
package objstoretest
