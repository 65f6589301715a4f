package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/towpath/towpath/pkg/handlers"
)

type platformsCommand struct {
	JSON bool `name:"json" help:"One JSON object a line."`
}

// platformRow is what there is to know of one integration before it is
// installed. What stands in code is in backquotes.
type platformRow struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Scheme      string   `json:"scheme"`
	Handshake   string   `json:"handshake"`
	Tolerance   string   `json:"tolerance"`
	DedupID     string   `json:"dedupId"`
	OrderingKey string   `json:"orderingKey"`
	Deadline    string   `json:"deadline"`
	Events      []string `json:"events"`
	Messages    []string `json:"messages"` // types, of all channels
	Actions     []string `json:"actions"`
	Receipts    []string `json:"receipts"` // the tags that they tell messages by
}

func rowOf(d handlers.Definition) platformRow {
	row := platformRow{
		Name: d.Name, Title: d.Title, Scheme: d.Wire.Scheme, Handshake: d.Wire.Handshake, Tolerance: d.Wire.Tolerance,
		DedupID: d.Wire.DedupID, OrderingKey: d.Wire.OrderingKey,
		Events: sorted(d.Events), Actions: sorted(d.Actions),
	}
	if d.Wire.Deadline > 0 {
		row.Deadline = fmt.Sprintf("%d s", d.Wire.Deadline/time.Second)
	}
	messages, receipts := map[string]bool{}, map[string]bool{}
	for _, channel := range d.Channels {
		for typ := range channel.Messages {
			messages[typ] = true
		}
		if channel.Receipt != "" {
			receipts[channel.Receipt] = true
		}
	}
	row.Messages, row.Receipts = sorted(messages), sorted(receipts)
	return row
}

// sorted lists the names in a map; none is an empty list.
func sorted[V any](m map[string]V) []string {
	names := slices.AppendSeq(make([]string, 0, len(m)), maps.Keys(m))
	slices.Sort(names)
	return names
}

// Run prints a row for each integration of this build.
func (c *platformsCommand) Run(p *program) error {
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(table, "PLATFORM\tSCHEME\tHANDSHAKE\tTOLERANCE\tDEDUP ID\tORDERING KEY\tDEADLINE\tEVENTS\tMESSAGES\tACTIONS\tRECEIPTS")
	}
	for _, definition := range p.registry.Definitions() {
		row := rowOf(definition)
		if c.JSON {
			encoder := json.NewEncoder(p.stdout)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(row); err != nil {
				return err
			}
			continue
		}
		cells := []string{
			row.Name, row.Scheme, row.Handshake, row.Tolerance, row.DedupID, row.OrderingKey, row.Deadline,
			strings.Join(row.Events, ", "), strings.Join(row.Messages, ", "), strings.Join(row.Actions, ", "), strings.Join(row.Receipts, ", "),
		}
		for i, cell := range cells {
			cells[i] = cmp.Or(strings.ReplaceAll(cell, "`", ""), "-")
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}
