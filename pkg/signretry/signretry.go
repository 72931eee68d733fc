// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package signretry signs container images until the signature holds: it takes
// images by digest through the stages of package signing, repeats the stage
// that failed, and keeps what the others have won.
//
//	image there? → signed already? → certificate → statement → timestamp → log entry → verify → attach → read back
//
// An attestation is one more statement that goes the same way.
// One identity and one certificate serve all images of a run; one bundle serves
// one digest in any number of repositories. A legacy signature names its
// repository, so each has its own.
package signretry

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/LerianStudio/pushguard/pkg/bug"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/signing"
)

// Registry is what signing needs of a registry. No method retries.
type Registry interface {
	// Head returns the descriptor of the manifest at ref.
	Head(ctx context.Context, ref registry.Reference) (registry.Descriptor, error)
	// ListReferrers lists the manifests whose subject is ref (by digest), and reports
	// whether the fallback tag names ref itself.
	ListReferrers(ctx context.Context, ref registry.Reference, artifactType string) (list []registry.Descriptor, shadowed bool, err error)
	// Manifest returns the manifest at ref, its digest verified.
	Manifest(ctx context.Context, ref registry.Reference) (registry.Manifest, error)
	// Blob returns the blob d, its digest verified; an error when it is larger than maxSize bytes.
	Blob(ctx context.Context, ref registry.Reference, d registry.Descriptor, maxSize int64) ([]byte, error)
	// PutBlob stores data in ref's repository.
	PutBlob(ctx context.Context, ref registry.Reference, data []byte) (registry.Descriptor, error)
	// Attach stores a manifest with a subject and returns its entry in the list of
	// referrers; listed is true where the registry keeps that list itself.
	Attach(ctx context.Context, ref registry.Reference, mediaType string, manifest []byte) (entry registry.Descriptor, listed bool, err error)
	// FallbackList reads the list of ref's referrers under the fallback tag.
	FallbackList(ctx context.Context, ref registry.Reference) (registry.FallbackList, error)
	// PutManifest stores a manifest under ref's tag.
	PutManifest(ctx context.Context, ref registry.Reference, mediaType string, manifest []byte) error
}

// Status is how an image came out.
type Status string

// The statuses.
const (
	Signed  Status = "signed"  // by this run
	Already Status = "already" // by this identity before: nothing was written
	Failed  Status = "failed"
)

// The statuses of [Check], beside Signed.
const (
	Unsigned Status = "unsigned" // nothing that verifies is what was asked for
	Missing  Status = "missing"  // the image is not there
	Unknown  Status = "unknown"  // a service could not be asked
)

// OK reports whether the image has what was asked for.
func (s Status) OK() bool { return s == Signed || s == Already }

// LogEntry is a place in a transparency log.
type LogEntry struct {
	URL   string `json:"url"`   // base URL as the trust root names it; may be empty
	Index int64  `json:"index"` // as users search it
}

// Signature is one that the image has now.
type Signature struct {
	Format   signing.Format   `json:"format"`
	Log      *LogEntry        `json:"log"`      // nil when it is in no log
	Identity signing.Identity `json:"identity"` // whose it is, as its certificate says
}

// Attestation is one that the image has now.
type Attestation struct {
	Type     string           `json:"type"`     // URI of its predicate type
	Log      *LogEntry        `json:"log"`      // nil when it is in no log
	Identity signing.Identity `json:"identity"` // whose it is, as its certificate says
}

// Result is the outcome for one image.
type Result struct {
	Ref        registry.Reference // as asked; Check adds the digest to a tag
	Status     Status
	Signatures []Signature // by this identity, in the order of the formats asked for; also when another one failed
	// Attestations are those asked for that the image has.
	Attestations []Attestation
	At           time.Time // when it was done
	Err          error     // why, when it is not OK
}

// Log is the place of the first signature in a log, nil when there is none.
func (r Result) Log() *LogEntry {
	for _, s := range r.Signatures {
		if s.Log != nil {
			return s.Log
		}
	}
	return nil
}

// Passing reports whether running it again can succeed: the failure is an
// outage that outlasted the policy, or the run was ended before it was done.
func (r Result) Passing() bool {
	return retry.Passing(r.Err) || errors.Is(r.Err, context.DeadlineExceeded) || errors.Is(r.Err, context.Canceled)
}

// Attempt is one try of one stage, for logs and timelines.
type Attempt struct {
	Stage   string
	Subject string // image or digest that it was for, "" when it is for the whole run
	Number  int    // from 1
	Start   time.Time
	Took    time.Duration
	Wait    time.Duration // pause after it, 0 when it was the last
	Err     error         // nil when it succeeded
}

// Report is the outcome of a run.
type Report struct {
	Identity signing.Identity // zero when there is no token
	Results  []Result         // in the order asked
	Attempts []Attempt        // in the order they ended
	// FellBack says why bundles went to the second log, nil when they did not.
	FellBack error
}

// Options configure Run and Check. Registry and Signer are needed, and Token, which Check
// asks only when it has no Signers.
type Options struct {
	Registry Registry
	Signer   *signing.Client
	Services signing.Source
	Token    signing.TokenSource
	Signers  signing.Signers // whose signatures Check accepts; the zero value is the token's identity

	// FallbackAfter is how long a Rekor v1 may be down before bundles go to the Rekor v2 of
	// a second signing config; 0 = never. FallbackConfig is its file, "" = from TUF.
	FallbackAfter  time.Duration
	FallbackConfig string

	Policy   retry.Policy  // of one stage
	Budget   time.Duration // of the whole run; 0 = none
	Parallel int           // digests at once; 0 = 4
	// Rate is how many signatures are begun in a second, each of which asks each service of
	// Sigstore once; 0 = no limit.
	Rate float64

	Formats     []signing.Format  // none = the bundle; to Check: any one
	Annotations map[string]string // in what is signed
	// Attestations are attached as bundles beside the signature, whatever its format.
	Attestations []*signing.Attestation
	Recursive    bool // sign the manifests that an index lists, too

	Logger *slog.Logger // nil = silent
	// OnResult is told as each image finishes, one at a time.
	OnResult func(Result)
	// OnWait is told before each pause, one at a time.
	OnWait func(Waiting)
}

// Waiting is a pause before the next try of a stage.
type Waiting struct {
	retry.Wait
	Stage    string
	Subject  string    // what it is for, short
	Deadline time.Time // when the run's time is over; zero = never
}

const defaultParallel = 4

// Run signs images, each named by digest. It tries all of them, whatever
// happens to the others, and returns when all are done or ctx ends.
func Run(ctx context.Context, images []registry.Reference, opts Options) Report {
	if len(opts.Formats) == 0 {
		opts.Formats = []signing.Format{signing.FormatBundle}
	}
	r := newRun(opts)
	return r.all(ctx, images, r.prepare, r.digest)
}

func newRun(opts Options) *run {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	limit := rate.Inf
	if opts.Rate > 0 {
		limit = rate.Limit(opts.Rate)
	}
	return &run{
		Options: opts, pace: rate.NewLimiter(limit, 1), turn: make(chan struct{}, 1), ready: make(chan struct{}),
		circuits: map[string]*retry.Circuit{}, configs: map[string]*upload{},
	}
}

// all does one thing for each digest in all its repositories. What all need is fetched
// by prepare, while the registries are asked for the images.
func (r *run) all(ctx context.Context, images []registry.Reference, prepare func(context.Context) error, digest func(ctx, reading context.Context, repositories []image)) Report {
	ctx, cancel := retry.WithBudget(ctx, r.Budget)
	defer cancel()
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.background.Go(func() {
		defer bug.Catch()
		if r.unprepared = prepare(ctx); r.unprepared != nil {
			stop(r.unprepared)
		}
		close(r.ready)
	})
	targets := r.expand(reading, images)
	r.results = make([]Result, len(targets))
	for i, t := range targets {
		r.results[i].Ref = t.ref
		if t.err != nil {
			r.finish(ctx, i, r.failure(r.reason(t.err)))
		}
	}
	var g errgroup.Group
	g.SetLimit(cmp.Or(r.Parallel, defaultParallel))
	for _, d := range group(targets) {
		g.Go(func() error {
			defer bug.Catch()
			digest(ctx, reading, d)
			return nil
		})
	}
	_ = g.Wait()
	cancel() // ends what is still under way for images that failed
	r.background.Wait()
	return Report{Identity: r.identity, Results: r.results, Attempts: r.attempts, FellBack: r.fellBack}
}

// run is one call of Run or Check.
type run struct {
	Options

	session

	checking bool // nothing is written

	pace       *rate.Limiter // of new signatures
	turn       chan struct{} // held by who changes the session
	ready      chan struct{} // closed when there is a session
	unprepared error         // why there is none; set before ready is closed
	background sync.WaitGroup

	mu       sync.Mutex // guards what follows, OnResult and OnWait
	circuits map[string]*retry.Circuit
	configs  map[string]*upload // by repository
	results  []Result
	attempts []Attempt
	fallback *signing.Services // that the run has changed to, nil for none
	fellBack error             // why
}

// finish records the outcome of the image asked for at index.
func (r *run) finish(ctx context.Context, index int, result Result) {
	result.At = time.Now().UTC().Truncate(time.Second)
	r.mu.Lock()
	defer r.mu.Unlock()
	result.Ref = r.results[index].Ref
	r.results[index] = result
	if r.OnResult != nil {
		r.OnResult(result)
	}
	r.Logger.LogAttrs(ctx, slog.LevelDebug, "image finished", slog.String("image", result.Ref.String()), slog.String("status", string(result.Status)))
}
