// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
)

// A wrong password is sent once, however many repositories and tags are asked for
// at once; a good one gets a token for each repository.
func TestLogin(t *testing.T) {
	for name, test := range map[string]struct {
		password string
		want     int32
	}{
		"wrong": {"wrong", 1},
		"good":  {"secret", 5},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			tokens := func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				if _, password, _ := r.BasicAuth(); password != "secret" {
					registrytest.Error(http.StatusUnauthorized, "UNAUTHORIZED", "incorrect username or password")(w, r)
					return
				}
				registrytest.Text(http.StatusOK, "application/json", `{"token":"good"}`)(w, r)
			}
			host, stop, err := registrytest.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/token":
					tokens(w, r)
				case r.Header.Get("Authorization") == "Bearer good":
					registrytest.Error(http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")(w, r)
				default:
					var repository int
					_, _ = fmt.Sscanf(r.URL.Path, "/v2/org/app%d/", &repository)
					w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="registry",scope="repository:org/app%d:pull"`, r.Host, repository))
					registrytest.Error(http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")(w, r)
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			dir := t.TempDir()
			t.Setenv("DOCKER_CONFIG", dir)
			config := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, base64.StdEncoding.EncodeToString([]byte("me:"+test.password)))
			if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := registry.New(t.Context(), registry.Options{})
			if err != nil {
				t.Fatal(err)
			}
			want := registry.KindNotFound
			if test.password == "wrong" {
				want = registry.KindAuth
			}
			var all sync.WaitGroup
			for repository := range 5 {
				for tag := range 4 {
					all.Go(func() {
						ref := registry.Reference{Registry: host, Repository: fmt.Sprint("org/app", repository), Tag: fmt.Sprint(tag)}
						if _, err := c.Head(t.Context(), ref); verdictOf(err).Kind != want {
							t.Errorf("Head(%s) = %v, want %s", ref, err, want)
						}
					})
				}
			}
			all.Wait()
			if n := asked.Load(); n != test.want {
				t.Errorf("the token service was asked %d times, want %d", n, test.want)
			}
		})
	}
}
