package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Postgres keeps each space in a table.
type Postgres struct {
	pool    *pgxpool.Pool
	timeout time.Duration
}

// OpenPostgres connects and creates the tables. When that fails the error is
// returned and nothing is open.
func OpenPostgres(connection string, timeout time.Duration) (*Postgres, error) {
	cfg, err := pgxpool.ParseConfig(connection)
	if err != nil {
		// The library's message would repeat the connection string, password included.
		return nil, errors.New("invalid PostgreSQL settings")
	}
	cfg.MaxConns = 10
	// One connection always stands, as the server's own pool does: whoever looks
	// for a second server on the database counts on seeing the first.
	cfg.MinConns = 1
	cfg.ConnConfig.ConnectTimeout = timeout
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	p := &Postgres{pool: pool, timeout: timeout}
	ctx, cancel := p.context()
	defer cancel()
	for _, space := range Spaces {
		_, err := pool.Exec(ctx, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS standin_%s (k text COLLATE "C" PRIMARY KEY, v bytea NOT NULL)`, space))
		if err != nil {
			pool.Close()
			return nil, fmt.Errorf("failed to create table: %w", err)
		}
	}
	return p, nil
}

func (p *Postgres) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), p.timeout)
}

// Get implements Store.
func (p *Postgres) Get(space, key string) ([]byte, error) {
	ctx, cancel := p.context()
	defer cancel()
	var value []byte
	err := p.pool.QueryRow(ctx, "SELECT v FROM standin_"+space+" WHERE k = $1", key).Scan(&value)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return value, err
}

// Range implements Store.
func (p *Postgres) Range(space, prefix string, visit func(string, []byte) error) error {
	ctx, cancel := p.context()
	defer cancel()
	type pair struct {
		K string
		V []byte
	}
	// '~' sorts after every character that keys are made of.
	rows, err := p.pool.Query(ctx, "SELECT k, v FROM standin_"+space+" WHERE k >= $1 AND k < $2 ORDER BY k", prefix, prefix+"~")
	if err != nil {
		return err
	}
	pairs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[pair])
	for _, r := range pairs {
		if err == nil {
			err = visit(r.K, r.V)
		}
	}
	return err
}

// Apply implements Store.
func (p *Postgres) Apply(ops ...Op) error {
	ctx, cancel := p.context()
	defer cancel()
	batch := &pgx.Batch{}
	for _, op := range ops {
		if op.Value == nil {
			batch.Queue("DELETE FROM standin_"+op.Space+" WHERE k = $1", op.Key)
		} else {
			batch.Queue("INSERT INTO standin_"+op.Space+" (k, v) VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET v = excluded.v", op.Key, op.Value)
		}
	}
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
}

// Close implements Store.
func (p *Postgres) Close() error {
	p.pool.Close()
	return nil
}

// Reason is the part of a database error that is worth a log line.
func Reason(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Message
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		if cause := errors.Unwrap(connect); cause != nil {
			return "error connecting to server: " + cause.Error()
		}
	}
	return err.Error()
}
