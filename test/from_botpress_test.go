package test_test

import (
	"bytes"
	"go/ast"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const fromBotpress = "docs/from-botpress.md"

// Whoever comes from Botpress trusts the page: every Go name and every test that it names exists, and the names in its
// tables are used where the tests beside them live.
func TestFromBotpressNamesWhatExists(t *testing.T) {
	t.Parallel()

	h, err := readHouse("..")
	if err != nil {
		t.Fatal(err)
	}

	declared, tests, used := goNames(h)
	rows, inTable := 0, false

	for line := range strings.Lines(string(h.read(fromBotpress))) {
		for _, name := range namedIn(line) {
			if !declared[name] && !tests[name] {
				t.Errorf("there is no %s", name)
			}
		}

		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		isHeader := len(cells) == 3 && strings.TrimSpace(cells[2]) == "shown by"
		inTable = isHeader || inTable && len(cells) == 3

		if !inTable || isHeader || cells[0] == "---" {
			continue
		}

		rows++
		names, shownBy := namedIn(cells[1]), namedIn(cells[2])

		if len(names) == 0 || len(shownBy) == 0 {
			t.Errorf("%s: no Go name, or no test", cells[0])
		}

		for _, name := range names {
			if !usedByAny(used, shownBy, name) {
				t.Errorf("%s: no test beside %s names %s", cells[0], cells[2], name)
			}
		}

		for _, name := range shownBy {
			if !tests[name] {
				t.Errorf("%s: %s is no test", cells[0], name)
			}
		}
	}

	if rows < 50 {
		t.Errorf("found %d rows: the tables are not read as they are written", rows)
	}
}

// The Go blocks of the page are one program.
func TestFromBotpressCompiles(t *testing.T) {
	t.Parallel()

	if testing.Short() {
		t.Skip("runs the compiler")
	}

	page, err := os.ReadFile(filepath.Join("..", fromBotpress))
	if err != nil {
		t.Fatal(err)
	}

	var blocks [][]byte
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(page, -1) {
		blocks = append(blocks, block[1])
	}

	file := filepath.Join(t.TempDir(), "program.go")
	if err := os.WriteFile(file, bytes.Join(blocks, []byte("\n")), 0o600); err != nil {
		t.Fatal(err)
	}

	if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}

	if out, err := exec.CommandContext(t.Context(), "gofmt", "-d", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// qualified finds `package.Name` and `package.Type.Member` in code spans.
var qualified = regexp.MustCompile("`([a-z][a-z0-9]+(?:\\.[A-Z]\\w*){1,2})`")

func namedIn(text string) []string {
	var names []string
	for _, match := range qualified.FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}

	return names
}

// usedByAny tells whether the tests of a package that is named mention a name's last word.
func usedByAny(used map[string]map[string]bool, tests []string, name string) bool {
	word := name[strings.LastIndex(name, ".")+1:]

	for _, test := range tests {
		folder, _, _ := strings.Cut(test, ".")
		if used[folder][word] {
			return true
		}
	}

	return false
}

// goNames reads off a tree what is declared and what its tests are, as "package.Name" and "package.Type.Member", and which
// words the tests of each package use. A package goes by the name of its folder.
func goNames(h house) (declared, tests map[string]bool, used map[string]map[string]bool) {
	declared, tests, used = map[string]bool{}, map[string]bool{}, map[string]map[string]bool{}

	for _, f := range h.source {
		folder := path.Base(f.folder)
		if f.folder == "." {
			folder = path.Base(module)
		}

		into := declared
		if f.isTest {
			into = tests

			if used[folder] == nil {
				used[folder] = map[string]bool{}
			}

			ast.Inspect(f.syntax, func(node ast.Node) bool {
				if word, ok := node.(*ast.Ident); ok {
					used[folder][word.Name] = true
				}

				return true
			})
		}

		for _, declaration := range f.syntax.Decls {
			for _, name := range namesOf(declaration) {
				into[folder+"."+name] = true
			}
		}
	}

	return declared, tests, used
}

// namesOf lists what a declaration at the top of a file declares: names, and types' members behind their type.
func namesOf(declaration ast.Decl) []string {
	var names []string

	switch declaration := declaration.(type) {
	case *ast.FuncDecl:
		if declaration.Recv == nil {
			return []string{declaration.Name.Name}
		}

		return []string{typeName(declaration.Recv.List[0].Type) + "." + declaration.Name.Name}
	case *ast.GenDecl:
		for _, spec := range declaration.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
				for _, member := range membersOf(spec.Type) {
					names = append(names, spec.Name.Name+"."+member)
				}
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					names = append(names, name.Name)
				}
			}
		}
	}

	return names
}

// typeName is the name of a method's receiver, without its pointer and type parameters.
func typeName(receiver ast.Expr) string {
	switch receiver := receiver.(type) {
	case *ast.StarExpr:
		return typeName(receiver.X)
	case *ast.IndexExpr:
		return typeName(receiver.X)
	case *ast.IndexListExpr:
		return typeName(receiver.X)
	case *ast.Ident:
		return receiver.Name
	}

	return ""
}

// membersOf lists the fields of a struct, or the methods of an interface.
func membersOf(of ast.Expr) []string {
	var (
		fields *ast.FieldList
		names  []string
	)

	switch of := of.(type) {
	case *ast.StructType:
		fields = of.Fields
	case *ast.InterfaceType:
		fields = of.Methods
	default:
		return nil
	}

	for _, field := range fields.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}

	return names
}
