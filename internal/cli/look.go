package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/replay"
	"github.com/towpath/towpath/pkg/client"
)

type (
	webhooksCommand struct {
		List listWebhooks `cmd:"" default:"withargs" help:"List the webhooks that were accepted, the newest first."`
		Show showWebhooks `cmd:"" help:"Show webhooks whole, without what is secret."`
		Tail tailWebhooks `cmd:"" help:"Show webhooks as they are accepted, until interrupted."`
	}
	deliveriesCommand struct {
		List listDeliveries `cmd:"" default:"withargs" help:"List what workers were asked to do and what became of it, the newest first."`
		Show showDeliveries `cmd:"" help:"Show deliveries whole: how far they are, and each attempt's error."`
		Tail tailDeliveries `cmd:"" help:"Show deliveries as their attempts end, until interrupted."`
	}
	eventsCommand struct {
		List listEvents `cmd:"" default:"withargs" help:"List what bots were told, the newest first."`
		Show showEvents `cmd:"" help:"Show events whole."`
		Tail tailEvents `cmd:"" help:"Show events as bots are told of them, until interrupted."`
	}

	listWebhooks struct {
		lookFlags
		pageFlags
	}
	listDeliveries struct {
		lookFlags
		pageFlags
		deliveryFlags
	}
	listEvents struct {
		lookFlags
		pageFlags
		eventFlags
	}
	tailWebhooks   struct{ lookFlags }
	tailDeliveries struct {
		lookFlags
		deliveryFlags
	}
	tailEvents struct {
		lookFlags
		eventFlags
	}
	showWebhooks   struct{ showFlags }
	showDeliveries struct{ showFlags }
	showEvents     struct{ showFlags }
)

// lookFlags select what was stored.
type lookFlags struct {
	systemFlags
	Bot          string `env:"TOWPATH_BOT" help:"The bot's id."`
	Installation string `help:"The installation's alias or webhook id."`
	Platform     string `help:"The integration, such as slack."`
	Key          string `aliases:"conversation" help:"The ordering key, or the conversation; --conversation is the same. A conversation's webhooks are those in its order."`
	Contains     string `help:"A part of the body."`
	JSON         bool   `name:"json" help:"One JSON object a line."`
}

// pageFlags say which of them are listed.
type pageFlags struct {
	Since moment `help:"How far back; 90m, 7d, or a time such as 2026-01-31T12:00:00Z."`
	Until moment `help:"Up to when; as --since."`
	Limit int    `default:"50" help:"How many at most; 0 for all."`
}

type deliveryFlags struct {
	Operation string   `aliases:"type" env:"TOWPATH_DELIVERY_OPERATION" help:"What was asked for, such as webhook_received, message_created or action_triggered; --type is the same."`
	Status    []string `help:"How far it is: waiting, at_work, backing_off, parked, done, dead_letter, sent_again, duplicate, forgotten; several with commas."`
}

// Validate implements kong's hook.
func (f deliveryFlags) Validate() error { return oneOf("--status", f.Status, replay.States()) }

type eventFlags struct {
	Type   string   `env:"TOWPATH_EVENT_TYPE" help:"The event's type, such as message_created or shopify:newOrderCreated, with or without the alias."`
	Status []string `env:"TOWPATH_EVENT_STATUS" help:"What the bot said it did with it: pending, processed, ignored, failed; several with commas."`
}

// Validate implements kong's hook.
func (f eventFlags) Validate() error {
	return oneOf("--status", f.Status, []client.EventStatus{
		client.EventPending, client.EventProcessed, client.EventIgnored, client.EventFailed, client.EventScheduled, client.EventCanceled,
	})
}

// oneOf refuses what is none of the values.
func oneOf[T ~string](flag string, given []string, values []T) error {
	for _, one := range given {
		if !slices.Contains(values, T(one)) {
			return fmt.Errorf("%s: %q is none of %v", flag, one, values)
		}
	}
	return nil
}

type showFlags struct {
	systemFlags
	IDs  []string `arg:"" name:"id" help:"Ids; of a webhook, also what the platform calls it."`
	JSON bool     `name:"json" help:"One JSON object a line."`
}

// Run lists webhooks.
func (c *listWebhooks) Run(ctx context.Context, p *program) error {
	return c.list(ctx, p, c.pageFlags, webhooksView(), replay.Selection{}, nil)
}

// Run lists deliveries.
func (c *listDeliveries) Run(ctx context.Context, p *program) error {
	return c.list(ctx, p, c.pageFlags, deliveriesView(), replay.Selection{Type: c.Operation}, c.Status)
}

// Run lists events.
func (c *listEvents) Run(ctx context.Context, p *program) error {
	return c.list(ctx, p, c.pageFlags, eventsView(), replay.Selection{Type: c.Type}, c.Status)
}

// Run follows webhooks.
func (c *tailWebhooks) Run(ctx context.Context, p *program) error {
	return c.tail(ctx, p, webhooksView(), replay.Selection{}, nil)
}

// Run follows deliveries. That an attempt began is told only if asked for.
func (c *tailDeliveries) Run(ctx context.Context, p *program) error {
	if len(c.Status) == 0 {
		for _, state := range replay.States() {
			if state != replay.AtWork {
				c.Status = append(c.Status, string(state))
			}
		}
	}
	return c.tail(ctx, p, deliveriesView(), replay.Selection{Type: c.Operation}, c.Status)
}

// Run follows events.
func (c *tailEvents) Run(ctx context.Context, p *program) error {
	return c.tail(ctx, p, eventsView(), replay.Selection{Type: c.Type}, c.Status)
}

// Run shows webhooks.
func (c *showWebhooks) Run(ctx context.Context, p *program) error {
	return c.show(ctx, p, webhooksView())
}

// Run shows deliveries.
func (c *showDeliveries) Run(ctx context.Context, p *program) error {
	return c.show(ctx, p, deliveriesView())
}

// Run shows events.
func (c *showEvents) Run(ctx context.Context, p *program) error { return c.show(ctx, p, eventsView()) }

// open connects, and finds out what the flags mean.
func (f lookFlags) open(ctx context.Context, p *program, selection *replay.Selection) (*system, *replay.Reader, error) {
	s, reader, err := f.reader(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	selection.Of, selection.Contains = replay.Parties(reader.Installed, f.Bot, f.Installation, f.Platform), f.Contains
	if selection.Keys, err = reader.Keys(ctx, f.Key); err != nil {
		s.close()
		return nil, nil, err
	}
	return s, reader, nil
}

// reader connects to read back what happened.
func (f *systemFlags) reader(ctx context.Context, p *program) (*system, *replay.Reader, error) {
	s, err := f.connect(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	reader, err := replay.NewReader(ctx, s.broker, s.store)
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, reader, nil
}

// flushEvery is how many rows are aligned with each other, and so are held.
const flushEvery = 500

func (f lookFlags) list(ctx context.Context, p *program, page pageFlags, v view, selection replay.Selection, status []string) error {
	selection.Since, selection.Until = page.Since.Time, page.Until.Time
	s, reader, err := f.open(ctx, p, &selection)
	if err != nil {
		return err
	}
	defer s.close()
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	if !f.JSON {
		fmt.Fprintln(table, v.header)
	}
	listed := 0
	for row, err := range v.read(ctx, reader, selection) {
		if err != nil {
			return err
		}
		if len(status) > 0 && !slices.Contains(status, row.Status) {
			continue
		}
		if f.JSON {
			if err := json.NewEncoder(p.stdout).Encode(row); err != nil {
				return err
			}
		} else {
			fmt.Fprintln(table, strings.Join(v.cells(row), "\t"))
		}
		if listed++; listed%flushEvery == 0 {
			if err := table.Flush(); err != nil {
				return err
			}
		}
		if listed == page.Limit {
			if err := table.Flush(); err != nil {
				return err
			}
			fmt.Fprintf(p.stderr, "The newest %d. Older ones: --until %s\n", listed, row.Time.UTC().Format(time.RFC3339Nano))
			break
		}
	}
	return table.Flush()
}

func (f lookFlags) tail(ctx context.Context, p *program, v view, selection replay.Selection, status []string) error {
	s, reader, err := f.open(ctx, p, &selection)
	if err != nil {
		return err
	}
	defer s.close()
	lines := growing{out: p.stdout}
	if !f.JSON {
		if err := lines.print(strings.Split(v.header, "\t")); err != nil {
			return err
		}
	}
	err = v.follow(ctx, reader, selection, func(row row) error {
		switch {
		case len(status) > 0 && !slices.Contains(status, row.Status):
			return nil
		case f.JSON:
			return json.NewEncoder(p.stdout).Encode(row)
		}
		return lines.print(v.cells(row))
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// growing aligns lines that come one by one: each column is as wide as it had
// to be so far.
type growing struct {
	out    io.Writer
	widths []int
}

func (g *growing) print(cells []string) error {
	var line strings.Builder
	for i, cell := range cells {
		if i == len(g.widths) {
			g.widths = append(g.widths, 0)
		}
		n := utf8.RuneCountInString(cell)
		g.widths[i] = max(g.widths[i], n)
		line.WriteString(cell)
		line.WriteString(strings.Repeat(" ", g.widths[i]-n+2))
	}
	_, err := fmt.Fprintln(g.out, strings.TrimRight(line.String(), " "))
	return err
}

// view is one way to look at what is stored.
type view struct {
	header string
	cells  func(row) []string
	read   func(context.Context, *replay.Reader, replay.Selection) iter.Seq2[row, error]
	follow func(context.Context, *replay.Reader, replay.Selection, func(row) error) error
	// streams are where what is to be shown is.
	streams []broker.Stream
	row     func(context.Context, *replay.Reader, replay.Entry) (row, error)
}

func webhooksView() view {
	v := entriesView(webhookRow, broker.Webhooks)
	v.header = "TIME\tID\tINSTALLATION\tKEY\tREQUEST\tBYTES\tPROVIDER'S ID"
	v.cells = func(r row) []string {
		return []string{precise(r.Time), r.ID, r.from(), oneLine(r.Key), oneLine(r.Request), strconv.Itoa(r.Bytes), oneLine(r.ProviderID)}
	}
	return v
}

func eventsView() view {
	v := entriesView(eventRow, broker.Events)
	v.header = "TIME\tID\tBOT\tTYPE\tSTATUS\tCONVERSATION"
	v.cells = func(r row) []string {
		return []string{precise(r.Time), r.ID, r.Bot, r.Type, r.Status, oneLine(r.Key)}
	}
	return v
}

// entriesView looks at what a stream holds and nothing else.
func entriesView(of func(context.Context, *replay.Reader, replay.Entry) (row, error), stream broker.Stream) view {
	return view{
		streams: []broker.Stream{stream}, row: of,
		read: func(ctx context.Context, r *replay.Reader, s replay.Selection) iter.Seq2[row, error] {
			return rows(s.Newest(ctx, r.Broker, stream), func(e replay.Entry) (row, error) { return of(ctx, r, e) })
		},
		follow: func(ctx context.Context, r *replay.Reader, s replay.Selection, visit func(row) error) error {
			return s.Follow(ctx, r.Broker, stream, func(e replay.Entry) error {
				row, err := of(ctx, r, e)
				if err != nil {
					return err
				}
				return visit(row)
			})
		},
	}
}

func deliveriesView() view {
	return view{
		header: "TIME\tID\tINSTALLATION\tOPERATION\tSTATUS\tATTEMPTS\tWORKER\tWHY",
		cells: func(r row) []string {
			return []string{precise(r.Time), r.ID, r.from(), r.Type, r.Status, strconv.Itoa(r.Attempts), r.Worker, oneLine(r.why())}
		},
		streams: broker.Queues,
		row: func(ctx context.Context, r *replay.Reader, e replay.Entry) (row, error) {
			work, err := r.WorkOf(ctx, e)
			return deliveryRow(r, work), err
		},
		read: func(ctx context.Context, r *replay.Reader, s replay.Selection) iter.Seq2[row, error] {
			return rows(r.Work(ctx, s), func(w replay.Work) (row, error) { return deliveryRow(r, w), nil })
		},
		follow: func(ctx context.Context, r *replay.Reader, s replay.Selection, visit func(row) error) error {
			return r.FollowWork(ctx, s, func(w replay.Work) error { return visit(deliveryRow(r, w)) })
		},
	}
}

// rows makes a row of each.
func rows[T any](all iter.Seq2[T, error], of func(T) (row, error)) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		for one, err := range all {
			var made row
			if err == nil {
				made, err = of(one)
			}
			if !yield(made, err) || err != nil {
				return
			}
		}
	}
}
