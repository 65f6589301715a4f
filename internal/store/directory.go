package store

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/events"
)

// Directory knows all bots and installations without asking: it watches them.
// A change shows within a second. While NATS is away it goes on with what it
// knows.
type Directory struct {
	broker *broker.Broker
	logger *logrus.Logger

	mu            sync.RWMutex
	changed       map[*func()]bool
	bots          map[string]Bot             // by key; nil before the first are known
	installations map[string]Installation    // by key, leaving ones too
	byWebhook     map[string]Installation    // those that take work
	byAlias       map[[2]string]Installation // likewise
	byIdentifier  map[[2]string]Installation // likewise, by integration and identifier
}

// NewDirectory returns a Directory that knows nothing until Run.
func NewDirectory(b *broker.Broker, logger *logrus.Logger) *Directory {
	return &Directory{broker: b, logger: logger}
}

// Run watches until ctx ends, through outages of NATS, and returns ctx's cause.
func (d *Directory) Run(ctx context.Context) error {
	var both sync.WaitGroup
	both.Go(func() { watch(ctx, d, broker.Bots, "*", d.setBots) })
	both.Go(func() { watch(ctx, d, broker.Installations, broker.Key(webhookKeys)+".*", d.setInstallations) })
	both.Wait()
	return context.Cause(ctx)
}

const watchAgainAfter = 500 * time.Millisecond

// watch keeps one bucket's entries, and begins anew after each outage. It logs
// only when it falls out of step and when it is back.
func watch[T any](ctx context.Context, d *Directory, name broker.BucketName, pattern string, set func(map[string]T)) {
	log, inStep := d.logger.WithField("bucket", name), true
	for ctx.Err() == nil {
		watching, stop := d.broker.UntilReconnected(ctx)
		err := watchOnce(watching, d, name, pattern, func(entries map[string]T) {
			if !inStep {
				inStep = true
				log.Info("directory is up to date again")
			}
			set(entries)
		})
		stop()
		if ctx.Err() != nil || errors.Is(err, broker.ErrReconnected) {
			continue
		}
		if inStep {
			inStep = false
			log.WithError(err).Warn("directory goes on with what it knows until NATS is back")
		}
		select {
		case <-ctx.Done():
		case <-time.After(watchAgainAfter):
		}
	}
}

// watchOnce fills a map of its own until all that is there has come, so that
// whatever vanished during an outage vanishes for set too.
func watchOnce[T any](ctx context.Context, d *Directory, name broker.BucketName, pattern string, set func(map[string]T)) error {
	bucket, err := d.broker.Bucket(ctx, name)
	if err != nil {
		return err
	}
	entries, complete := map[string]T{}, false
	return bucket.Watch(ctx, pattern, func() {
		complete = true
		set(entries)
	}, func(entry broker.Entry) {
		if err := keep(entries, entry); err != nil {
			d.logger.WithError(err).WithField("bucket", name).Error("directory leaves an entry out")
		}
		if complete {
			set(entries)
		}
	})
}

func keep[T any](entries map[string]T, entry broker.Entry) error {
	delete(entries, entry.Key)
	if entry.Deleted {
		return nil
	}
	var value T
	if err := json.Unmarshal(entry.Value, &value); err != nil {
		return fmt.Errorf("decode %s: %w", entry.Key, err)
	}
	entries[entry.Key] = value
	return nil
}

func (d *Directory) setBots(bots map[string]Bot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bots = maps.Clone(bots)
}

func (d *Directory) setInstallations(installations map[string]Installation) {
	byWebhook, byAlias, byIdentifier := map[string]Installation{}, map[[2]string]Installation{}, map[[2]string]Installation{}
	for _, i := range installations {
		if i.Leaving() {
			continue
		}
		byWebhook[i.WebhookID], byAlias[[2]string{i.BotID, i.Alias}] = i, i
		if i.Identifier != "" {
			byIdentifier[[2]string{i.Integration, i.Identifier}] = i
		}
	}
	d.mu.Lock()
	defer d.tell()
	defer d.mu.Unlock()
	d.installations, d.byWebhook, d.byAlias, d.byIdentifier = maps.Clone(installations), byWebhook, byAlias, byIdentifier
}

// OnChange has do called after installations have changed, until stop is. Do
// may ask the Directory.
func (d *Directory) OnChange(do func()) (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changed == nil {
		d.changed = map[*func()]bool{}
	}
	d.changed[&do] = true
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.changed, &do)
	}
}

func (d *Directory) tell() {
	d.mu.RLock()
	told := slices.Collect(maps.Keys(d.changed))
	d.mu.RUnlock()
	for _, do := range told {
		(*do)()
	}
}

// Ready tells whether the Directory has learned all there is, once.
func (d *Directory) Ready() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.bots != nil && d.installations != nil
}

// Installation returns the installation of a webhook id, unless it is leaving.
func (d *Directory) Installation(webhookID string) (Installation, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	found, ok := d.byWebhook[webhookID]
	return found, ok
}

// ByAlias returns a bot's installation, unless it is leaving.
func (d *Directory) ByAlias(bot, alias string) (Installation, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	found, ok := d.byAlias[[2]string{bot, alias}]
	return found, ok
}

// ByIdentifier returns the installation that a platform calls so in requests to
// the integration's global webhook, unless it is leaving.
func (d *Directory) ByIdentifier(integration, identifier string) (Installation, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	found, ok := d.byIdentifier[[2]string{integration, identifier}]
	return found, ok
}

// List returns all installations, leaving ones too, ordered by bot and alias.
func (d *Directory) List() []Installation {
	d.mu.RLock()
	all := slices.Collect(maps.Values(d.installations))
	d.mu.RUnlock()
	slices.SortFunc(all, byBotAndAlias)
	return all
}

// Bot returns a bot by its id.
func (d *Directory) Bot(id string) (Bot, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	found, ok := d.bots[broker.Key(id)]
	return found, ok
}

// Authenticate returns the bot whose token this is. It compares hashes with
// those of all bots, each in constant time.
func (d *Directory) Authenticate(token string) (Bot, bool) {
	hash := []byte(hashToken(token))
	d.mu.RLock()
	defer d.mu.RUnlock()
	var found Bot
	for _, bot := range d.bots {
		if len(hash) > 0 && subtle.ConstantTimeCompare([]byte(bot.TokenHash), hash) == 1 {
			found = bot
		}
	}
	return found, found.ID != ""
}

// Bot is a bot as it is stored. Its token is not: only its hash.
type Bot struct {
	ID        string    `json:"id"`
	TokenHash string    `json:"tokenHash"` // SHA-256 in hex; empty when no token was given
	URL       string    `json:"url,omitempty"`
	UserID    string    `json:"userId"` // the user that the bot's messages are from
	CreatedAt time.Time `json:"createdAt"`
}

// hashToken returns the hash of a token, and nothing for no token, so that an
// empty one never matches.
func hashToken(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// botUserID is the id of a bot's user, the same in every installation.
func botUserID(bot string) string { return events.EffectID("user", time.UnixMilli(0), "bot:"+bot) }
