package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// reply is an answer whose body may go on.
type reply struct {
	state  wire.State
	rest   []byte // the result
	frame  []byte // both
	body   io.ReadCloser
	steady *steadyBody // what body reads
}

// endless has the body come whenever it does.
func (r *reply) endless() { r.steady.patience = 0 }

func (r *reply) close() {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.body, 4<<10)) // so that the connection can be used again
	_ = r.body.Close()
}

// refused is an answer that was not made by package wire.
type refused struct {
	status  int
	foreign bool // by a server of another program
	code    string
	message string
	early   bool // by its clock, which is known since
}

// Error implements error.
func (r *refused) Error() string {
	if r.code == "" {
		return http.StatusText(r.status)
	}
	return r.code + ": " + r.message
}

// kind is what a refusal means; 0: the same request may be answered the next time.
func (r *refused) kind() objstore.Kind {
	if r.early {
		return 0
	}
	if r.foreign && r.status < http.StatusInternalServerError {
		return objstore.ErrUnsupported
	}
	switch r.status {
	case http.StatusForbidden, http.StatusUnauthorized:
		return objstore.ErrPermission
	case http.StatusNotFound:
		return objstore.ErrNotFound
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return objstore.ErrUnsupported
	default:
		return 0
	}
}

// content is a body to be sent.
type content struct {
	size  int64 // negative: not known
	write func(w *wire.BodyWriter) error
}

// wholeBytesMax is the largest body that is put together before it is sent, so that it is signed.
const wholeBytesMax = 1 << 20

// send makes one attempt. An error is of the connection or a [refused].
func (s *Store) send(ctx context.Context, head *wire.Head, m wire.Message, body *content) (*reply, error) {
	frame := wire.AppendMessage(nil, head)
	if m != nil {
		frame = wire.AppendMessage(nil, head, m)
	}
	if body != nil && body.size >= 0 && body.size <= wholeBytesMax {
		whole := bytes.NewBuffer(frame)
		if err := body.write(wire.NewBodyWriter(whole)); err != nil {
			return nil, &objstore.Error{Op: "send", Kind: objstore.ErrCorrupt, Detail: "what was staged cannot be read", Err: err}
		}
		frame, body = whole.Bytes(), nil
	}
	ctx, answered, done := s.attempt(ctx)
	began := time.Now()
	r, err := s.sendOnce(ctx, frame, body, done)
	if err == nil || isGone(err) {
		s.locker.hear(began)
	}
	if err != nil {
		done()
		return nil, err
	}
	answered()
	s.silence.over()
	r.body = endingBody{r.body, done}
	return r, nil
}

// sendOnce sends a frame and what follows it. end is called if the answer stalls.
func (s *Store) sendOnce(ctx context.Context, frame []byte, body *content, end func()) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.address, bytes.NewReader(frame))
	if err != nil {
		return nil, err
	}
	if body != nil {
		p := newPipedBody(frame, body)
		defer p.finish()
		req.Body, req.GetBody, req.ContentLength = p, nil, -1
	}
	if err := s.sign(ctx, req, frame, body != nil); err != nil {
		return nil, err
	}
	response, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	answer := steady(response.Body, s.opt.Patience, end)
	response.Body = answer
	r, err := readReply(response)
	if err != nil {
		response.Body.Close()
		return nil, s.learnClock(response, err)
	}
	r.steady = answer
	return r, nil
}

// sign signs the request and its body, unless that streams: then its frames carry checksums.
func (s *Store) sign(ctx context.Context, req *http.Request, body []byte, streams bool) error {
	if s.parts.Credentials == nil {
		return nil
	}
	digest := "UNSIGNED-PAYLOAD"
	if !streams {
		sum := sha256.Sum256(body)
		digest = hex.EncodeToString(sum[:])
	}
	credentials := aws.Credentials{AccessKeyID: s.parts.Credentials.AccessKey, SecretAccessKey: s.parts.Credentials.SecretKey}
	req.Header.Set("X-Amz-Content-Sha256", digest)
	return v4.NewSigner().SignHTTP(ctx, credentials, req, digest, "s3", s.opt.Region, s.ahead.signingTime(), func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = true
	})
}

func readReply(response *http.Response) (*reply, error) {
	foreign := response.Header.Get("Server") != "etagfs"
	if response.StatusCode != http.StatusOK || foreign {
		return nil, readRefusal(response, foreign)
	}
	r := &reply{body: response.Body}
	var err error
	if r.frame, err = wire.ReadFrame(response.Body, nil); err != nil {
		return nil, err
	}
	r.rest, err = wire.DecodeHead(r.frame, &r.state)
	return r, err
}

// refusalBytesMax is how much of a refusal is read.
const refusalBytesMax = 64 << 10

func readRefusal(response *http.Response, foreign bool) error {
	var document struct {
		Code    string
		Message string
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, refusalBytesMax))
	if err == nil {
		_ = xml.Unmarshal(text, &document) // the status says enough
	}
	return &refused{status: response.StatusCode, foreign: foreign, code: document.Code, message: document.Message}
}

// pipedBody is a request's body that is written while it is sent.
type pipedBody struct {
	*io.PipeReader
	done chan struct{}
}

func newPipedBody(frame []byte, body *content) *pipedBody {
	r, w := io.Pipe()
	p := &pipedBody{r, make(chan struct{})}
	go func() {
		defer close(p.done)
		_, err := w.Write(frame)
		if err == nil {
			err = body.write(wire.NewBodyWriter(w))
		}
		w.CloseWithError(err)
	}()
	return p
}

// finish returns once nothing is read any more for the body.
func (p *pipedBody) finish() {
	p.CloseWithError(errors.New("the request is over"))
	<-p.done
}

// build makes a message for a session.
type build func(context.Context, *session) (wire.Message, *content, error)

// request is what is asked for.
type request struct {
	op, key string
	method  wire.Method
	message wire.Message
	body    *content
	build   build    // instead of message and body, for what has handles
	within  *session // no other will do; nil: the current one
	writeID bool     // the store recognises it, in another session too
	single  bool     // body cannot be read again
}

// ask sends a request until it is answered, and reads the result into result.
func (s *Store) ask(ctx context.Context, q request, result wire.Message) error {
	r, err := s.exchange(ctx, q)
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.state.Failure.Err(); err != nil {
		return err
	}
	return wire.Decode(r.rest, result)
}

// exchange sends a request until it is answered. What changes something goes on when ctx ends, once it was sent.
func (s *Store) exchange(ctx context.Context, q request) (*reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, &objstore.Error{Op: q.op, Key: q.key, Kind: objstore.ErrUnavailable, Err: err}
	}
	if q.method.Mutates() {
		ctx = context.WithoutCancel(ctx)
	}
	tries := s.newTries(q.op, q.key, q.method.Mutates())
	for sessions := 1; ; sessions++ {
		session, err := s.current(ctx)
		if err != nil {
			return nil, tries.failed(err)
		}
		if q.within != nil && q.within != session {
			return nil, errLost
		}
		r, err := s.inSession(ctx, q, session, tries)
		if !errors.Is(err, errLost) {
			return r, err
		}
		s.lost(session)
		if sessions == sessionsMax || tries.sent && q.method.Mutates() && (q.single || !q.writeID) {
			return nil, tries.failed(err)
		}
	}
}

// sessionsMax is in how many sessions a request is tried.
const sessionsMax = 5

// errLost says that the server does not know the session.
var errLost = errors.New("the server began anew")

// inSession sends a request in one session until it is answered there.
func (s *Store) inSession(ctx context.Context, q request, in *session, tries *tries) (*reply, error) {
	m, body := q.message, q.body
	if q.build != nil {
		var err error
		if m, body, err = q.build(ctx, in); err != nil {
			return nil, err
		}
	}
	head := wire.Head{Protocol: wire.Protocol, Method: q.method, Session: in.id, ID: in.begin()}
	defer in.done(head.ID)
	for {
		head.Oldest = in.oldest()
		r, err := s.send(ctx, &head, m, body)
		if err == nil && r.state.Lost {
			r.close()
			return nil, errLost
		}
		if err == nil {
			s.feed.await(ctx, in, r.state.Changes, s.opt.Patience, q.method.Mutates())
			return r, nil
		}
		if err := tries.again(ctx, err); err != nil {
			return nil, err
		}
		if q.single {
			return s.resolve(ctx, in, head.ID, tries)
		}
	}
}
