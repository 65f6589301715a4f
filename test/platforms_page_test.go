package test_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	godiff "github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/cli"
	"github.com/towpath/towpath/pkg/handlers/catalog"
)

const (
	platformsPage  = "docs/platforms.md"
	writePlatforms = "UPDATE_GOLDEN=1 go test ./test -run TestPlatformsPageIsWhatTheCodeSays"
)

// platformRow is a line of `towpath platforms --json`.
type platformRow struct {
	Name, Title, Scheme, Handshake, Tolerance, DedupID, OrderingKey, Deadline string
	Events, Messages, Actions, Receipts                                       []string
}

func (r platformRow) cell(of claim) string {
	listed := func(names []string) string {
		if len(names) == 0 {
			return ""
		}

		return "`" + strings.Join(names, "`, `") + "`"
	}

	return map[claim]string{
		ofScheme: r.Scheme, ofHandshake: r.Handshake, ofTolerance: r.Tolerance, ofDedupID: r.DedupID, ofKey: r.OrderingKey,
		ofDeadline: r.Deadline, ofEvents: listed(r.Events), ofMessages: listed(r.Messages), ofActions: listed(r.Actions),
		ofReceipts: listed(r.Receipts),
	}[of]
}

// claims are what is to be shown of a platform: each column, what its API's errors lead to, where it has one, and how a long
// text arrives, where it can talk.
func (r platformRow) claims() []claim {
	all := columns()
	if len(r.Messages) > 0 {
		return append(all, ofErrors, ofLongText)
	}

	if shown()[r.Name][ofErrors] != "" {
		all = append(all, ofErrors)
	}

	return all
}

// platformRows asks the verb.
func platformRows(t *testing.T) []platformRow {
	t.Helper()

	var stdout, stderr bytes.Buffer
	if status := cli.Run(t.Context(), []string{"platforms", "--json"}, &stdout, &stderr, catalog.All()); status != 0 {
		t.Fatalf("towpath platforms exits with %d: %s", status, stderr.String())
	}

	var rows []platformRow

	for decoder := json.NewDecoder(&stdout); decoder.More(); {
		var row platformRow
		if err := decoder.Decode(&row); err != nil {
			t.Fatal(err)
		}

		rows = append(rows, row)
	}

	return rows
}

// The page is what the code says, and what it names to show it.
func TestPlatformsPageIsWhatTheCodeSays(t *testing.T) {
	t.Parallel()

	page := writtenPage(platformRows(t))
	file := filepath.Join("..", platformsPage)

	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	if diff := godiff.Diff(string(written), page); diff != "" {
		t.Errorf("%s (-written +now), %s if it is meant:\n%s", platformsPage, writePlatforms, diff)
	}
}

// Every cell of the page is shown by tests that there are.
func TestEveryCellOfThePlatformsIsShown(t *testing.T) {
	t.Parallel()

	h, err := readHouse("..")
	if err != nil {
		t.Fatal(err)
	}

	_, tests, _ := goNames(h)
	rows := platformRows(t)

	for _, row := range rows {
		for _, of := range row.claims() {
			names := testsOf(row, of)
			if len(names) == 0 {
				t.Errorf("%s: nothing shows its %s", row.Name, of)
			}

			if row.cell(of) != "" && of != ofDeadline && shown()[row.Name][of] == "" {
				t.Errorf("%s: no test of its own shows its %s", row.Name, of)
			}

			for _, name := range names {
				if !tests[name] {
					t.Errorf("%s, %s: there is no %s", row.Name, of, name)
				}
			}
		}
	}

	for name := range shown() {
		if !slices.ContainsFunc(rows, func(row platformRow) bool { return row.Name == name }) {
			t.Errorf("there is no platform %s", name)
		}
	}
}

func writtenPage(rows []platformRow) string {
	var page strings.Builder

	fmt.Fprint(&page, "# Platforms\n\n",
		"What `towpath platforms` tells, and the tests that show it. This page is written from the code by\n`", writePlatforms, "`.\n\n",
		"| platform |")

	for _, of := range columns() {
		fmt.Fprintf(&page, " %s |", of)
	}

	fmt.Fprint(&page, "\n|---|", strings.Repeat("---|", len(columns())), "\n")

	for _, row := range rows {
		fmt.Fprintf(&page, "| [%s](../pkg/handlers/%s/readme.md) |", row.Title, strings.ReplaceAll(row.Name, "-", ""))

		for _, of := range columns() {
			fmt.Fprintf(&page, " %s |", cmp.Or(row.cell(of), "–"))
		}

		fmt.Fprintln(&page)
	}

	fmt.Fprint(&page, `
- **scheme**: an HMAC or a signature covers the body; a secret that comes along proves the sender alone.
- **tolerance**: how far a signed time may be from ours, either way. Where none is signed, a copy of a request is known by its
  dedup id for seven days.
- **deadline**: how long the platform waits for the answer to a webhook; – where it does not tell. A webhook is answered as
  soon as it is stored, and a handler is awaited only where the platform wants its answer.
- **receipts**: the message tag by which the platform tells that a message was delivered, read or not sent.

## Of all platforms

Each of the catalog is held to these, a new one from the moment that it is in it:

- Whatever is done to a request – forged, truncated, re-encoded, replayed, stale, oversized – it is refused, or it is the
  delivery that it was.
- Where it can talk: a 429 waits exactly as long as it says, what the platform will never take is given up at the first
  attempt, credentials that are refused pause the installation, and 10,000 characters arrive whole, in order and within the
  platform's limits.

## Shown by
`)

	for _, row := range rows {
		fmt.Fprintf(&page, "\n### %s\n\n| | shown by |\n|---|---|\n", row.Title)

		for _, of := range row.claims() {
			fmt.Fprintf(&page, "| %s | `%s` |\n", of, strings.Join(testsOf(row, of), "`, `"))
		}
	}

	return page.String()
}
