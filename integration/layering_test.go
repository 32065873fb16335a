package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/etagfs/etagfs"

// The modules of others, by the name the rules below use.
const (
	awsSDK    = "github.com/aws/aws-sdk-go-v2"
	awsConfig = awsSDK + "/config"
	awsKeys   = awsSDK + "/credentials"
	awsS3     = awsSDK + "/service/s3"
	smithy    = "github.com/aws/smithy-go" // kinds of the SDK's errors
	badger    = "github.com/dgraph-io/badger/v4"
	cobra     = "github.com/spf13/cobra"
	progress  = "github.com/schollz/progressbar/v3" // bars on terminals
	pflag     = "github.com/spf13/pflag"            // what cobra's flags are made of
	goFuse    = "github.com/hanwen/go-fuse/v2"
	goInner   = "github.com/rogpeppe/go-internal" // testscript, diff
	metrics   = "github.com/prometheus/client_golang"
	sys       = "golang.org/x/sys"
	gonumPlot = "gonum.org/v1/plot" // draws what the benchmarks measure, in their program alone
	xxh3      = "github.com/zeebo/xxh3"
	porcupine = "github.com/anishathalye/porcupine" // is a history linearizable?
	objstore  = module + "/objstore"
	blockhash = objstore + "/blockhash"
	locks     = objstore + "/locks"
	wire      = objstore + "/wire"
	cas       = objstore + "/cas"
)

// layer is a package, with all packages below it that have no layer of their
// own, and what it may import beside the standard library and itself.
type layer struct {
	path    string
	imports []string // a module of others, or exactly one package of ours
	tests   []string // what its tests may import beyond that
}

// layers is the whole permission: arrows point downwards only.
func layers() []layer {
	forTests := []string{objstore, blockhash, objstore + "/memstore", objstore + "/faultstore", objstore + "/objstoretest"}
	return []layer{
		{objstore, nil, nil},
		{blockhash, []string{xxh3}, nil},
		{objstore + "/memstore", []string{objstore, blockhash}, forTests},
		{objstore + "/badgerstore", []string{objstore, blockhash, badger, sys, xxh3}, forTests}, // xxh3: checksums of records
		{objstore + "/faultstore", []string{objstore, blockhash}, forTests},
		{objstore + "/objstoretest", []string{objstore, blockhash}, forTests},
		{locks, []string{objstore}, forTests},
		{wire, []string{objstore}, forTests},
		{cas, []string{objstore}, forTests},
		{
			objstore + "/remote",
			[]string{objstore, locks, wire, awsSDK}, // awsSDK: signatures
			append(forTests, objstore+"/badgerstore", objstore+"/s3server"),
		},
		{objstore + "/s3server", []string{objstore, blockhash, locks, wire, metrics, xxh3}, append(forTests, awsSDK)}, // xxh3: checksums of clients
		{
			objstore + "/s3store",
			[]string{objstore, blockhash, awsSDK, awsConfig, awsS3, smithy},
			append(forTests, objstore+"/badgerstore", objstore+"/s3server"),
		},
		{ // its tests stage in cache
			objstore + "/flatns", []string{objstore}, append(forTests, awsSDK, objstore+"/s3server", objstore+"/s3store", module+"/cache"),
		},
		{module + "/cache", []string{objstore, blockhash}, forTests},
		{module + "/fs/meter", nil, nil},
		{module + "/fs/strtab", nil, nil},
		{module + "/fs", []string{objstore, blockhash, module + "/cache", module + "/fs/meter", module + "/fs/strtab"}, forTests},
		{module + "/mount", []string{objstore, locks, module + "/fs", module + "/fs/meter", module + "/fs/strtab", goFuse, sys}, forTests},
		{
			module + "/cmd",
			[]string{objstore, blockhash, objstore + "/badgerstore", objstore + "/flatns", cas, locks, objstore + "/remote", objstore + "/s3server", objstore + "/s3store", module + "/cache", module + "/fs", module + "/fs/meter", module + "/mount", cobra, goInner, pflag, metrics, progress, sys},
			append(forTests, goInner),
		},
	}
}

// directModules is the golden list: a module more or less is a decision, not
// an accident. Ask of a new one what it saves.
func directModules() []string {
	return []string{awsSDK, awsConfig, awsKeys, awsS3, smithy, badger, goFuse, goInner, metrics, cobra, progress, pflag, porcupine, xxh3, sys, gonumPlot}
}

// goPackage is what go list says of a package.
type goPackage struct {
	ImportPath   string
	Standard     bool
	ForTest      string
	Module       *struct{ Path string }
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func (p goPackage) ours() bool { return p.Module != nil && p.Module.Path == module }

func listPackages(t *testing.T) map[string]goPackage {
	cmd := exec.Command("go", "list", "-deps", "-test", "-json=ImportPath,Standard,ForTest,Module,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := make(map[string]goPackage)
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.ForTest == "" && !strings.HasSuffix(p.ImportPath, ".test") {
			packages[p.ImportPath] = p
		}
	}
}

// within reports whether path is root or below it.
func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

// layerOf is the most specific layer path belongs to. Only internal packages
// and the packages of cmd belong to the layer above them.
func layerOf(path string) (layer, bool) {
	var found layer
	for _, l := range layers() {
		below := strings.HasPrefix(path, l.path+"/internal/") || l.path == module+"/cmd" && within(path, l.path)
		if path == l.path || below {
			found = l
		}
	}
	return found, found.path != ""
}

// permits reports whether a package of l may import p.
func permits(l layer, allowed []string, p goPackage) bool {
	if p.Standard {
		return true
	}
	if !p.ours() {
		return p.Module != nil && slices.Contains(allowed, p.Module.Path)
	}
	owner, ok := layerOf(p.ImportPath)
	if ok && owner.path == l.path {
		return true
	}
	return slices.Contains(allowed, p.ImportPath)
}

func TestImportsPointDownwards(t *testing.T) {
	packages := listPackages(t)
	for _, path := range slices.Sorted(maps.Keys(packages)) {
		p := packages[path]
		if !p.ours() || within(path, module+"/integration") {
			continue
		}
		l, ok := layerOf(path)
		if !ok {
			t.Errorf("%s belongs to no layer: add it to layers, with what it may import", path)
			continue
		}
		check := func(kind string, imports, allowed []string) {
			for _, imported := range imports {
				if q, known := packages[imported]; known && !permits(l, allowed, q) {
					t.Errorf("%s%s may not import %s", path, kind, imported)
				}
			}
		}
		check("", p.Imports, l.imports)
		inTests := slices.Concat(l.imports, l.tests)
		check(" (tests)", p.TestImports, inTests)
		check(" (tests)", p.XTestImports, inTests)
	}
}

func TestDirectModulesAreTheGoldenList(t *testing.T) {
	packages := listPackages(t)
	used := make(map[string]bool)
	for _, p := range packages {
		if !p.ours() {
			continue
		}
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if q := packages[imported]; q.Module != nil && !q.ours() {
				used[q.Module.Path] = true
			}
		}
	}
	golden := directModules()
	slices.Sort(golden)
	if got := slices.Sorted(maps.Keys(used)); !slices.Equal(got, golden) {
		t.Errorf("direct modules are\n%q, want\n%q", got, golden)
	}
}

func TestTopLevelStaysSmall(t *testing.T) {
	allowed := []string{"cmd", "fs", "objstore", "cache", "mount", "integration", "go.mod", "go.sum", "Makefile", "README.md", "LICENSE"}
	ignored := []string{"bin", "data", "mnt"}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, ".") && !slices.Contains(allowed, name) && !slices.Contains(ignored, name) {
			t.Errorf("%s does not belong at the top level", name)
		}
	}
}
