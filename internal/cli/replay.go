package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/replay"
	"github.com/towpath/towpath/pkg/events"
)

type replayCommand struct {
	systemFlags
	IDs          []string `arg:"" optional:"" name:"id" help:"Ids of deliveries, of their dead letters, of what they told the bot, or what the platform calls the webhook."`
	Since        moment   `help:"How far back; 90m, 7d, or a time such as 2026-01-31T12:00:00Z."`
	Until        moment   `help:"Up to when; as --since."`
	Bot          string   `env:"TOWPATH_BOT" help:"The bot's id."`
	Installation string   `help:"The installation's alias or webhook id."`
	Operation    string   `aliases:"type" help:"What was asked for, such as webhook_received, message_created, or event_received of a bot."`
	Key          string   `aliases:"conversation" help:"The ordering key, or the conversation; --conversation is the same."`
	DeadLetters  bool     `env:"-" help:"What was given up, instead of everything."`
	Compare      bool     `help:"Show only what the code does otherwise now than then; exit with 1 if there is anything."`
	LiveReads    bool     `help:"Let what was not recorded be read from the store as it is now."`
	Live         bool     `env:"-" help:"For real: put each into its queue again, as a delivery of its own."`
	Rate         float64  `default:"50" help:"With --live, how many a second at most; 0 for as many as can be."`
	Resume       string   `name:"run" env:"-" placeholder:"ID" help:"With --live, the run to go on with after an interruption."`
	Yes          bool     `env:"-" help:"Do not ask."`
	JSON         bool     `name:"json" help:"One JSON object a line."`
}

// Run replays.
func (c *replayCommand) Run(ctx context.Context, p *program) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Live && c.DeadLetters {
		return (&retryLetters{chosen{c.letterFlags(), c.Yes}}).Run(ctx, p)
	}
	s, err := c.connect(ctx, p)
	if err != nil {
		return err
	}
	defer s.close()
	selected, err := c.deliveries(ctx, s)
	if err != nil {
		return err
	}
	if c.Live {
		return c.live(ctx, p, s, selected)
	}
	return c.shadow(ctx, p, s, selected)
}

func (c *replayCommand) check() error {
	filtered := len(c.IDs) > 0 || !c.Since.IsZero() || !c.Until.IsZero() || c.Bot != "" || c.Installation != "" ||
		c.Operation != "" || c.Key != "" || c.DeadLetters
	if err := replay.Named(c.IDs...); err != nil {
		return err
	}
	switch {
	case c.Resume != "" && !c.Live:
		return errors.New("--run goes on with what --live began: add --live")
	case c.Resume != "" && (len(c.IDs) > 0 || slices.ContainsFunc(c.said, selects)):
		return errors.New("--run knows what was selected when the run began: leave the rest out")
	case c.Live && (c.Compare || c.LiveReads):
		return errors.New("--compare and --live-reads are for a replay without consequences: leave out --live, or them")
	case c.Resume == "" && !filtered:
		return errors.New("say what to replay: ids, --since 1h, or another filter; --since 365d is everything")
	case c.Rate < 0:
		return errors.New("--rate is how many a second, or 0")
	}
	return nil
}

// selects tells whether a flag says what is to be replayed.
func selects(flag string) bool {
	return slices.Contains([]string{"since", "until", "bot", "installation", "operation", "key", "dead-letters"}, flag)
}

func (c *replayCommand) letterFlags() letterFlags {
	return letterFlags{
		systemFlags: c.systemFlags, IDs: c.IDs, Since: c.Since, Until: c.Until, Bot: c.Bot, Installation: c.Installation,
		Operation: c.Operation, Key: c.Key, JSON: c.JSON,
	}
}

// deliveries turns the flags into what they mean in a Towpath.
func (c *replayCommand) deliveries(ctx context.Context, s *system) (replay.Deliveries, error) {
	selected := replay.Deliveries{
		IDs: c.IDs, Since: c.Since.Time, Until: c.Until.Time, Operation: events.Operation(c.Operation), Key: c.Key,
	}
	if selected.Operation != "" && !selected.Operation.Known() {
		return selected, fmt.Errorf("%q is no operation: say webhook_received, message_created, action_triggered, …", c.Operation)
	}
	installed, err := s.store.Installations(ctx)
	if err != nil {
		return selected, err
	}
	letters := c.letterFlags().letters(installed)
	selected.Of = letters.Of
	if !c.DeadLetters {
		return selected, nil
	}
	chosen, missing, err := letters.Select(ctx, s.broker)
	if err == nil {
		err = noSuchLetters(missing)
	}
	selected.IDs = nil
	for _, letter := range chosen {
		if letter.Stream != broker.Events {
			selected.IDs = append(selected.IDs, letter.ID)
		}
	}
	if err == nil && len(selected.IDs) == 0 {
		err = errors.New("there is no such dead letter of an integration")
	}
	return selected, err
}

// tally counts what a shadow replay comes to.
type tally struct {
	Replayed    int `json:"replayed"`
	Same        int `json:"same"`
	Changed     int `json:"changed"`
	NotRecorded int `json:"notRecorded"`
	Unable      int `json:"unable"`
}

// compared is a delivery's comparison as JSON.
type compared struct {
	Delivery    string              `json:"delivery"`
	Recorded    bool                `json:"recorded"`
	Unable      string              `json:"unable,omitempty"`
	Differences []replay.Difference `json:"differences"`
}

// shadow runs the handlers in this process, without consequences.
func (c *replayCommand) shadow(ctx context.Context, p *program, s *system, selected replay.Deliveries) error {
	total := len(c.IDs)
	if p.watched() && total == 0 { // counting reads everything once more
		for _, err := range selected.Oldest(ctx, s.broker, s.store, nil) {
			if err != nil {
				return err
			}
			total++
		}
	}
	progress := replay.NewProgress(p.stderr, p.watched(), total, nil)
	defer progress.Hide()
	shadow := &replay.Shadow{Broker: s.broker, Store: s.store, Registry: p.registry, LiveReads: c.LiveReads}
	var sum tally
	for found, err := range selected.Oldest(ctx, s.broker, s.store, nil) {
		var shadowed replay.Shadowed
		if err == nil {
			shadowed, err = shadow.Run(ctx, found)
		}
		if err == nil {
			err = c.report(p, shadowed, &sum, progress)
		}
		if ctx.Err() != nil {
			return errors.New("interrupted; nothing was changed")
		}
		if err != nil {
			return err
		}
		sum.Replayed++
		progress.Step(sum.Replayed)
	}
	progress.Hide()
	return c.conclude(p, sum)
}

// report shows one delivery.
func (c *replayCommand) report(p *program, s replay.Shadowed, sum *tally, progress *replay.Progress) error {
	if s.Unable != "" {
		sum.Unable++
	}
	if !c.Compare {
		progress.Hide()
		if c.JSON {
			return json.NewEncoder(p.stdout).Encode(s)
		}
		return s.Print(p.stdout)
	}
	row := compared{Delivery: s.Delivery, Recorded: s.Then != nil && !s.Then.Truncated, Unable: s.Unable, Differences: []replay.Difference{}}
	switch {
	case s.Unable != "":
	case !row.Recorded:
		sum.NotRecorded++
	default:
		row.Differences = append(row.Differences, s.Compare()...)
		if len(row.Differences) == 0 {
			sum.Same++
		} else {
			sum.Changed++
		}
	}
	if c.JSON {
		progress.Hide()
		return json.NewEncoder(p.stdout).Encode(row)
	}
	if len(row.Differences) > 0 {
		progress.Hide()
		return s.PrintDifferences(p.stdout, row.Differences)
	}
	if s.Unable != "" {
		progress.Hide()
		return s.Print(p.stdout)
	}
	return nil
}

// conclude sums up.
func (c *replayCommand) conclude(p *program, sum tally) error {
	switch {
	case c.JSON:
		if err := json.NewEncoder(p.stdout).Encode(sum); err != nil {
			return err
		}
	case c.Compare:
		fmt.Fprintf(p.stdout, "same=%d changed=%d not_recorded=%d", sum.Same, sum.Changed, sum.NotRecorded)
		if sum.Unable > 0 {
			fmt.Fprintf(p.stdout, " not_run=%d", sum.Unable)
		}
		fmt.Fprintln(p.stdout)
	default:
		fmt.Fprintf(p.stdout, "replayed=%d; nothing was changed, nothing was sent\n", sum.Replayed)
	}
	switch {
	case sum.Changed > 0:
		return fmt.Errorf("%d of %d deliveries come out otherwise now than then", sum.Changed, sum.Replayed)
	case sum.Unable > 0:
		return fmt.Errorf("%d of %d deliveries could not be run", sum.Unable, sum.Replayed)
	}
	return nil
}

// live puts deliveries into their queues again.
func (c *replayCommand) live(ctx context.Context, p *program, s *system, selected replay.Deliveries) error {
	run, err := c.open(ctx, s, selected)
	if err != nil {
		return err
	}
	left, out, err := run.Left(ctx)
	if err != nil {
		return err
	}
	total := 0
	for _, n := range left {
		total += n
	}
	var reasons []string
	for what, n := range out {
		reasons = append(reasons, fmt.Sprintf("%d × %s left out: %s\n", n, what.Operation, leftOut(what)))
	}
	slices.Sort(reasons)
	fmt.Fprint(p.stderr, strings.Join(reasons, ""))
	if total > 0 && !c.Yes {
		fmt.Fprintln(p.stderr, "What handlers get or create by a platform's id, such as messages, they find as the first run made it: of that, bots are told nothing new.")
		if err := p.confirm(ctx, fmt.Sprintf("Run again for real %d deliveries (%s) at %s", total, counts(left), s.at)); err != nil {
			return err
		}
	}
	if !c.JSON {
		fmt.Fprintf(p.stdout, "run=%s; should it be interrupted, go on with: towpath replay --live --run %s\n", run.ID, run.ID)
	}
	progress := replay.NewProgress(p.stderr, p.watched(), total, nil)
	defer progress.Hide()
	done := 0
	err = run.Put(ctx, pacer(c.Rate), func(found replay.Entry, r broker.Receipt) error {
		done++
		progress.Step(done)
		if c.JSON {
			progress.Hide()
			return json.NewEncoder(p.stdout).Encode(map[string]any{
				"delivery": found.Event.ID(), "as": found.Event.ID() + ".r" + run.ID, "stream": r.Stream, "seq": r.Seq,
			})
		}
		return nil
	})
	progress.Hide()
	if c.JSON {
		_ = json.NewEncoder(p.stdout).Encode(map[string]any{"run": run.ID, "sent": done, "done": run.Done})
	} else {
		fmt.Fprintf(p.stdout, "sent=%d\n", done)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		return fmt.Errorf("%d of %d are left: go on with `towpath replay --live --run %s`: %w", total-done, total, run.ID, err)
	}
	return nil
}

func (c *replayCommand) open(ctx context.Context, s *system, selected replay.Deliveries) (*replay.Run, error) {
	if c.Resume != "" {
		return replay.Resume(ctx, s.broker, s.store, c.Resume)
	}
	return replay.Begin(ctx, s.broker, s.store, selected)
}

// leftOut says why something is not run again.
func leftOut(what replay.LeftOut) string {
	switch what.State {
	case "":
	case replay.Dead:
		return "they were given up, and `towpath dead-letters retry` runs them again"
	default:
		return fmt.Sprintf("they are not done (%s), and run by themselves", what.State)
	}
	switch what.Operation {
	case events.MessageCreated:
		return "what a platform took is never sent again, and `towpath dead-letters retry` sends what failed"
	case events.Register, events.Unregister, events.Ping:
		return "`towpath installations` has verbs for that"
	default:
		return "they are replays themselves; name them to run them again"
	}
}

func counts(of map[events.Operation]int) string {
	var parts []string
	for _, operation := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%d × %s", of[operation], operation))
	}
	return strings.Join(parts, ", ")
}

// pacer returns what waits until the next one may go, at a rate a second.
func pacer(rate float64) func(context.Context) error {
	if rate == 0 {
		return func(context.Context) error { return nil }
	}
	var next time.Time
	return func(ctx context.Context) error {
		now := time.Now()
		wait := next.Sub(now)
		if wait <= 0 {
			next = now
		} else {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(wait):
			}
		}
		next = next.Add(time.Duration(float64(time.Second) / rate))
		return nil
	}
}

// watched tells whether somebody sees what is written to stderr.
func (p *program) watched() bool {
	file, ok := p.stderr.(*os.File)
	return ok && isTerminal(file)
}
