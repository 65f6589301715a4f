package faults_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// row is the result of one scenario.
type row struct {
	name string
	account
	latencies
	took   time.Duration
	failed bool
	note   string // what else was measured
}

// table gathers the results of a run.
type table struct {
	mu   sync.Mutex
	rows []row
}

func (t *table) add(r row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, r)
}

// note adds what else a scenario measured.
func (t *table) note(name, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.rows {
		if t.rows[i].name == name {
			t.rows[i].note = text
		}
	}
}

// The page that shows the last full run, and what stands around its table.
const (
	page      = "docs/guarantees.md"
	tableFrom = "<!-- results: written by `make faults-long` -->\n"
	tableTo   = "<!-- end of results -->\n"
)

// publish writes the table into the page. Only a run of everything does.
func (t *table) publish() error {
	if tier != long || flag.Lookup("test.run").Value.String() != "" {
		return nil
	}
	path := filepath.Join("..", "..", page)
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, opens := bytes.Cut(content, []byte(tableFrom))
	_, tail, closes := bytes.Cut(rest, []byte(tableTo))
	if !opens || !closes {
		return errors.New(page + " has lost the marks around the table of results")
	}
	return os.WriteFile(path, bytes.Join([][]byte{head, []byte(t.String()), tail}, nil), 0o644)
}

// String is the table as Markdown, with its marks.
func (t *table) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	b.WriteString(tableFrom)
	fmt.Fprintf(&b, "\nOn %s, with `TOWPATH_SEED=%d`. Times are from the request at the door to its answer at the platform.\n\n",
		time.Now().UTC().Format(time.DateOnly), seed)
	b.WriteString("| scenario | result | accepted | stored | handled | events | sent | lost | doubled | misordered | ambiguous | p50 | p99 | took | |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n")
	for _, r := range t.rows {
		result := "held"
		if r.failed {
			result = "**failed**"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %s | %s | %s | %s |\n",
			r.name, result, r.accepted, r.stored, r.handled, r.events, r.sent, r.lost, r.doubled, r.misorders, r.ambiguous,
			r.at(0.5), r.at(0.99), r.took.Round(time.Second), r.note)
	}
	b.WriteString("\n")
	b.WriteString(tableTo)
	return b.String()
}
