package test_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/towpath/towpath"

// A house is a source tree as the rules see it.
type house struct {
	root   string
	source []goFile
	text   []string // every file that is or would be committed, by its path from the root
}

// A goFile is one parsed file. Paths are slash-separated and start at the root of the tree, whose own folder is ".".
type goFile struct {
	path, folder string
	isTest       bool
	lines        int
	syntax       *ast.File
	at           func(ast.Node) string // "path:line" of a node
}

// readHouse parses all Go files under root, without nested modules, testdata and what the go command ignores.
func readHouse(root string) (house, error) {
	h := house{root: root}

	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		if entry.IsDir() {
			if name != root && skipped(name, entry.Name()) {
				return filepath.SkipDir
			}

			return nil
		}

		if filepath.Ext(name) != ".go" {
			return nil
		}

		file, err := readGo(root, name)
		h.source = append(h.source, file)

		return err
	})
	if err != nil {
		return house{}, fmt.Errorf("read the tree: %w", err)
	}

	h.text, err = committed(root)

	return h, err
}

func skipped(folder, base string) bool {
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "vendor" {
		return true
	}

	_, err := os.Stat(filepath.Join(folder, "go.mod"))

	return err == nil // a nested module is a house of its own
}

func readGo(root, name string) (goFile, error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return goFile{}, err
	}

	files := token.NewFileSet()

	syntax, err := parser.ParseFile(files, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return goFile{}, err
	}

	relative, err := filepath.Rel(root, name)
	if err != nil {
		return goFile{}, err
	}

	relative = filepath.ToSlash(relative)

	return goFile{
		path:   relative,
		folder: path.Dir(relative),
		isTest: strings.HasSuffix(relative, "_test.go"),
		lines:  bytes.Count(source, []byte("\n")),
		syntax: syntax,
		at: func(node ast.Node) string {
			return relative + ":" + strconv.Itoa(files.Position(node.Pos()).Line)
		},
	}, nil
}

// committed lists what git tracks or would add. A tree without git, as the planted ones are, is taken whole.
func committed(root string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(root, ".git")); errors.Is(err, fs.ErrNotExist) {
		return everyFile(root)
	}

	// safe.directory: a checkout that belongs to somebody else, as in a container, is still this checkout.
	git := exec.Command("git", "-c", "safe.directory=*", "-C", root,
		"ls-files", "-z", "--cached", "--others", "--exclude-standard")

	out, err := git.Output()
	if err != nil {
		return nil, fmt.Errorf("list the committed files: %w", err)
	}

	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }), nil
}

func everyFile(root string) ([]string, error) {
	var all []string

	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			all = append(all, name)
		}

		return err
	})

	return all, err
}

// read returns a file of the tree, or nothing where git still lists what was deleted.
func (h house) read(name string) []byte {
	content, err := os.ReadFile(filepath.Join(h.root, filepath.FromSlash(name)))
	if err != nil {
		return nil
	}

	return content
}

// packages groups the non-test files by folder, folders sorted. A folder of nothing but tests has an empty group.
func (h house) packages() (folders []string, files map[string][]goFile) {
	files = map[string][]goFile{}

	for _, f := range h.source {
		if _, seen := files[f.folder]; !seen {
			folders = append(folders, f.folder)
			files[f.folder] = nil
		}

		if !f.isTest {
			files[f.folder] = append(files[f.folder], f)
		}
	}

	slices.Sort(folders)

	return folders, files
}

// importPath is the path an import names.
func importPath(spec *ast.ImportSpec) string {
	return strings.Trim(spec.Path.Value, "`\"")
}

// localName is what a file calls an imported package, or "" if it does not import it.
func (f goFile) localName(imported string) string {
	for _, spec := range f.syntax.Imports {
		if importPath(spec) != imported {
			continue
		}

		if spec.Name != nil {
			return spec.Name.Name
		}

		return path.Base(imported)
	}

	return ""
}

// uses finds where a file names one of the given identifiers of an imported package.
func (f goFile) uses(imported string, names ...string) []*ast.SelectorExpr {
	local := f.localName(imported)
	if local == "" {
		return nil
	}

	var found []*ast.SelectorExpr

	ast.Inspect(f.syntax, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}

		if of, ok := selector.X.(*ast.Ident); ok && of.Name == local && slices.Contains(names, selector.Sel.Name) {
			found = append(found, selector)
		}

		return true
	})

	return found
}
