package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// BucketName names a key-value bucket.
type BucketName string

// The buckets.
const (
	Bots          BucketName = "bots"
	Installations BucketName = "installations"
	Users         BucketName = "users"
	Conversations BucketName = "conversations"
	Messages      BucketName = "messages"
	EventRecords  BucketName = "events"
	States        BucketName = "states"
	Cursors       BucketName = "cursors"
	Leases        BucketName = "leases"
	Waiting       BucketName = "waiting" // what is parked
	Seen          BucketName = "seen"
	Usage         BucketName = "usage"
	Pace          BucketName = "pace"
)

// SeenFor is how long the id of a handled delivery is remembered. The longest
// time over which a platform repeats a webhook is Meta's, seven days.
const SeenFor = 7 * 24 * time.Hour

// duplicateWindow is how long NATS itself recognises a message id. It holds
// every id of the window in memory, so it is short; the Seen bucket does the
// rest.
const duplicateWindow = 2 * time.Minute

// partitionsKey is where a queue's metadata tell its number of partitions.
const partitionsKey = "towpath-partitions"

// Topology is what may be chosen about streams and buckets. Zero fields mean
// the defaults.
type Topology struct {
	Partitions int   // of each queue; 32. Changing it later needs empty queues
	Replicas   int   // 1
	MaxBytes   int64 // of each stream; 1 GiB
}

func (t Topology) withDefaults() Topology {
	if t.Partitions == 0 {
		t.Partitions = 32
	}
	if t.Replicas == 0 {
		t.Replicas = 1
	}
	if t.MaxBytes == 0 {
		t.MaxBytes = 1 << 30
	}
	return t
}

// Provision creates what is missing of streams, consumers and buckets, and
// updates the rest. It is idempotent. A queue whose number of partitions would
// change is refused, because its keys would move to other partitions while
// their cursors stay.
func (b *Broker) Provision(ctx context.Context, t Topology) error {
	t = t.withDefaults()
	for _, queue := range Queues {
		if existing, err := b.partitions(ctx, queue); err == nil && existing != t.Partitions {
			return fmt.Errorf("stream %s has %d partitions, not %d: drain it before changing that", queue, existing, t.Partitions)
		} else if err != nil && !errors.Is(err, ErrNotProvisioned) {
			return fmt.Errorf("provision %s: %w", queue, err)
		}
	}
	for _, config := range t.streams() {
		if _, err := b.js.CreateOrUpdateStream(ctx, config); err != nil {
			return fmt.Errorf("provision stream %s: %w", config.Name, mapError(err))
		}
	}
	for _, queue := range Queues {
		for partition := range t.Partitions {
			if _, err := b.js.CreateOrUpdateConsumer(ctx, string(queue), consumerConfig(queue, partition)); err != nil {
				return fmt.Errorf("provision consumer %s of %s: %w", consumerName(partition), queue, mapError(err))
			}
		}
	}
	if _, err := b.js.CreateOrUpdateConsumer(ctx, string(Wakeups), dueConfig()); err != nil {
		return fmt.Errorf("provision consumer %s of %s: %w", dueConsumer, Wakeups, mapError(err))
	}
	for _, config := range t.buckets() {
		if _, err := b.js.CreateOrUpdateKeyValue(ctx, config); err != nil {
			return fmt.Errorf("provision bucket %s: %w", config.Bucket, mapError(err))
		}
	}
	return nil
}

func (t Topology) streams() []jetstream.StreamConfig {
	base := jetstream.StreamConfig{
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: t.Replicas,
		// Refusing what is new is the only way that loses nothing: the sender
		// is told, and repeats.
		Discard: jetstream.DiscardNew, MaxBytes: t.MaxBytes,
		AllowDirect: true, Duplicates: duplicateWindow,
	}
	var all []jetstream.StreamConfig
	for _, queue := range Queues {
		config := base
		config.Name = string(queue)
		config.Subjects = []string{queue.prefix() + ".in.*.*"}
		config.SubjectTransform = &jetstream.SubjectTransformConfig{
			Source:      queue.prefix() + ".in.*.*",
			Destination: fmt.Sprintf("%s.{{partition(%d,1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}", queue.prefix(), t.Partitions),
		}
		config.Metadata = map[string]string{partitionsKey: strconv.Itoa(t.Partitions)}
		all = append(all, config)
	}
	events := base
	events.Name, events.Subjects, events.MaxAge = string(Events), []string{Events.prefix() + ".>"}, 30*24*time.Hour
	dead := base
	dead.Name, dead.Subjects, dead.MaxAge = string(DeadLetters), []string{DeadLetters.prefix() + ".>"}, 90*24*time.Hour
	logs := base
	logs.Name, logs.Subjects, logs.MaxAge = string(Logs), []string{Logs.prefix() + ".>"}, 7*24*time.Hour
	logs.Discard, logs.MaxBytes = jetstream.DiscardOld, t.MaxBytes/8
	recordings := logs
	recordings.Name, recordings.Subjects = string(Recordings), []string{Recordings.prefix() + ".>"}
	recordings.MaxBytes = t.MaxBytes / 2
	return append(all, events, dead, logs, recordings, t.wakeups())
}

// wakeups is a stream of its own, because a schedule can target neither a
// transformed subject nor another stream. NATS lets no stream with schedules
// refuse what is new, so it has no limit that would drop what waits longest.
func (t Topology) wakeups() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: string(Wakeups), Subjects: []string{Wakeups.prefix() + ".>"},
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: t.Replicas,
		AllowDirect: true, AllowRollup: true, AllowMsgSchedules: true, Duplicates: duplicateWindow,
	}
}

func (t Topology) buckets() []jetstream.KeyValueConfig {
	lifetimes := map[BucketName]time.Duration{Seen: SeenFor, EventRecords: 30 * 24 * time.Hour}
	var all []jetstream.KeyValueConfig
	for _, name := range []BucketName{
		Bots, Installations, Users, Conversations, Messages, EventRecords, States, Cursors, Leases, Waiting, Seen, Usage, Pace,
	} {
		config := jetstream.KeyValueConfig{
			Bucket: string(name), History: 1, TTL: lifetimes[name], Storage: jetstream.FileStorage, Replicas: t.Replicas,
		}
		if watched[name] {
			config.History = watchedHistory
		}
		if expiring[name] {
			config.LimitMarkerTTL = time.Minute
		}
		all = append(all, config)
	}
	return all
}

// watched are the buckets of which a watcher must know every key. A key that is
// written while others are being handed over leaves its place among them and
// comes later, after NATS's client has counted as many as there were at first:
// it would be missed. Older values keep its place.
var watched = map[BucketName]bool{Waiting: true, Installations: true, Bots: true}

// watchedHistory is how often a key may be written within one reading.
const watchedHistory = 16

// expiring are the buckets whose keys expire one by one, and whose watchers
// are told: leases, states, what is noted of attempts, what has been asked of
// platforms, and marks of what was deleted.
var expiring = map[BucketName]bool{
	Leases: true, Waiting: true, States: true, Cursors: true, Pace: true, Users: true, Conversations: true, Messages: true,
}

func consumerName(partition int) string { return fmt.Sprintf("p%03d", partition) }

func consumerConfig(queue Stream, partition int) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       consumerName(partition),
		FilterSubject: fmt.Sprintf("%s.%d.>", queue.prefix(), partition),
		AckPolicy:     jetstream.AckExplicitPolicy,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckWait:       30 * time.Second,
		MaxAckPending: 1024,
		MaxDeliver:    -1,
		// A doorbell needs no payload, and a partition may hold a thousand.
		HeadersOnly: true,
	}
}

// Partitions returns the number of partitions of the queues, or
// [ErrNotProvisioned].
func (b *Broker) Partitions(ctx context.Context) (int, error) { return b.partitions(ctx, Webhooks) }

func (b *Broker) partitions(ctx context.Context, queue Stream) (int, error) {
	stream, err := b.stream(ctx, queue)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(stream.CachedInfo().Config.Metadata[partitionsKey])
	if err != nil {
		return 0, fmt.Errorf("stream %s was not made by Towpath: it does not tell its partitions", queue)
	}
	return n, nil
}

func (b *Broker) stream(ctx context.Context, name Stream) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	asked := b.clock()
	stream, err := b.js.Stream(ctx, string(name))
	if err != nil {
		return nil, mapError(err)
	}
	b.compareClocks(asked, stream.CachedInfo().TimeStamp, b.clock())
	return stream, nil
}
