// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

// mutant is one rule turned into its opposite: the first place of from in a file becomes to.
// test, "PACKAGE NAME", is the test that finds it where the simulator hardly does.
type mutant struct{ breaks, file, from, to, test string }

// mutants break a rule each. The code that they are found in may change: one that is not
// found any more fails the run, and is to be written anew.
var mutants = []mutant{
	{
		breaks: "a tag that names another image is replaced",
		file:   "pkg/change/change.go",
		from:   "\t\tcase now != c.From:\n\t\t\treturn Moved, nil\n\t\t}\n\t\tvar err error",
		to:     "\t\t}\n\t\tvar err error",
	},
	{
		breaks: "no look after the act",
		file:   "pkg/change/change.go",
		from:   "\t\t\taccepted = true\n\t\t\treturn c.await(ctx, r, &now, settle)",
		to:     "\t\t\taccepted = true\n\t\t\treturn Made, nil",
	},
	{
		breaks: "the proof right before the act is left out",
		file:   "pkg/change/change.go",
		from:   "if c.Prove != nil {",
		to:     "if false {",
	},
	{
		breaks: "the first look is forgotten for a later one",
		file:   "pkg/record/events.go",
		from:   "if t.Published == nil && (t.Before == nil || t.Before.State == Unknown) {",
		to:     "if t.Published == nil {",
	},
	{
		breaks: "a later look is taken for the state before the run",
		file:   "pkg/record/events.go",
		from:   "if t.Published == nil && (t.Before == nil || t.Before.State == Unknown) {",
		to:     "if t.Before == nil || t.Before.State == Unknown || t.Published != nil {",
	},
	{
		breaks: "the record is written in place",
		file:   "pkg/record/open.go",
		from:   "\tf, err := os.CreateTemp(filepath.Dir(path), \".\"+filepath.Base(path)+\".*.tmp\")\n\tif err != nil {\n\t\treturn err\n\t}",
		to:     "\treturn os.WriteFile(path, data, 0o644)\n\tf, err := os.CreateTemp(filepath.Dir(path), \".\"+filepath.Base(path)+\".*.tmp\")\n\tif err != nil {\n\t\treturn err\n\t}",
	},
	{
		breaks: "any run's record is this run's",
		file:   "pkg/record/record.go",
		from:   "r.ID == other.ID && r.Repository == other.Repository && r.Call == other.Call",
		to:     "true",
	},
	{
		breaks: "what was undone is signed again",
		file:   "pkg/record/events.go",
		from:   "return t.Published != nil && t.Now != nil &&",
		to:     "return false && t.Published != nil && t.Now != nil &&",
		test:   "./pkg/record TestToSign",
	},
	{
		breaks: "a deletion needs no published digest",
		file:   "pkg/cleanup/plan.go",
		from:   "\tcase c.Published != \"\" && c.Published != now:\n\t\treturn Keep, fmt.Sprintf(\"published %s, now %s\", registry.ShortDigest(c.Published), registry.ShortDigest(now)), \"someone else moved it\"\n",
		to:     "",
	},
	{
		breaks: "a tag that was there before is deleted, not restored",
		file:   "pkg/cleanup/plan.go",
		from:   "\tcase c.Published != \"\" && before.Digest == \"\":",
		to:     "\tcase c.Published != \"\":",
	},
	{
		breaks: "an unknown state before the run does not keep a tag",
		file:   "pkg/cleanup/plan.go",
		from:   "\tcase !before.Known:\n\t\treturn Keep,",
		to:     "\tcase false:\n\t\treturn Keep,",
	},
	{
		breaks: "no list of tags is needed to delete a digest",
		file:   "pkg/cleanup/remove.go",
		from:   "\t\terr := r.free(ctx, ref.WithDigest(digest), own, 0)\n",
		to:     "\t\tvar err error\n\t\t_ = own\n",
	},
	{
		breaks: "a list that lacks a tag is believed",
		file:   "pkg/cleanup/reach.go",
		from:   "\t\tcase now != \"\":\n\t\t\treturn nil, &unlistedError{ref, \"lacks \" + tag + \", which exists\", true}",
		to:     "\t\tcase now != \"\":\n\t\t\tcontinue",
		test:   "./pkg/cleanup TestHistories",
	},
	{
		breaks: "an index does not need what is in it",
		file:   "pkg/cleanup/reach.go",
		from:   "\tfor _, digest := range in.digests {\n\t\tall.users[digest]",
		to:     "\tfor _, digest := range in.digests[:0] {\n\t\tall.users[digest]",
	},
	{
		breaks: "a package version goes with the tags of others",
		file:   "pkg/cleanup/remove.go",
		from:   "if len(others) > 0 || r.older(image) {",
		to:     "if r.older(image) {",
		test:   "./pkg/cleanup TestHistories",
	},
	{
		breaks: "signatures are swept from an image that has a tag",
		file:   "pkg/cleanup/sweep.go",
		from:   "\tif err := r.proveFree(ctx, image); err != nil {\n\t\treturn err\n\t}\n\t// What the registry",
		to:     "\t// What the registry",
	},
	{
		breaks: "one refusal ends the sweep",
		file:   "pkg/cleanup/sweep.go",
		from:   "\t\t\treferrers = nil //",
		to:     "\t\t\treturn err //",
		test:   "./pkg/cleanup TestRun_attachedWhereIndexesCount",
	},
	{
		breaks: "a name needs no signature",
		file:   "pkg/simulation/chain_test.go",
		from:   "if j.warn || isSigned(report, name.Digest) {",
		to:     "if true {",
	},
	{
		breaks: "a name that is there is noted as put",
		file:   "pkg/naming/naming.go",
		from:   "\tput := change.Change{",
		to:     "\tif n.OnPut != nil {\n\t\t_ = n.OnPut(name)\n\t}\n\tput := change.Change{",
	},
	{
		breaks: "a name is put whatever the tag was before",
		file:   "pkg/naming/naming.go",
		from:   "\tput := change.Change{Ref: name.Tag, From: name.Before,",
		to:     "\tif d, err := n.Registry.Head(ctx, name.Tag); err == nil {\n\t\tname.Before = d.Digest\n\t}\n\tput := change.Change{Ref: name.Tag, From: name.Before,",
	},
	{
		breaks: "moving tags go before those that stay",
		file:   "pkg/naming/naming.go",
		from:   "[][]Name{stay, move}",
		to:     "[][]Name{move, stay}",
	},
	{
		breaks: "names are not noted before they are put",
		file:   "pkg/naming/naming.go",
		from:   "if n.OnPut != nil {\n\t\tput.Prove",
		to:     "if false {\n\t\tput.Prove",
	},
	{
		breaks: "an outage means absent",
		file:   "pkg/tagcheck/tagcheck.go",
		from:   "\tcase ok && e.Kind == registry.KindNotFound:\n\t\ttag.State",
		to:     "\tcase ok:\n\t\ttag.State",
	},
	{
		breaks: "what is pushed by digest is built again",
		file:   "pkg/tagcheck/verdict.go",
		from:   "\tif digest, pushed := allPushed(tags, images); pushed && (",
		to:     "\tif digest, pushed := allPushed(tags, images); pushed && false && (",
	},
	{
		breaks: "one registry of two is enough for complete",
		file:   "pkg/tagcheck/verdict.go",
		from:   "\t\tif !t.Moving && t.State == Absent && len(r.Existing) > 0 {",
		to:     "\t\tif false {",
		test:   "./pkg/retry TestDo_retryAfter",
	},
	{
		breaks: "moving tags are not completed",
		file:   "pkg/tagcheck/verdict.go",
		from:   "\t\tmissing, copyFrom := gaps(tags)",
		to:     "\t\tmissing, copyFrom := gaps(nil)",
	},
	{
		breaks: "an earlier signature is not looked for",
		file:   "pkg/signretry/image.go",
		from:   "s.bundle, s.found, taken = b, true, true",
		to:     "taken = true",
	},
	{
		breaks: "a page in place of a signature counts",
		file:   "pkg/signretry/image.go",
		from:   "return ok && e.Kind == registry.KindNotARegistry",
		to:     "return ok && e.Kind == registry.KindNotARegistry && false",
	},
	{
		breaks: "each image gets a certificate of its own",
		file:   "pkg/signretry/sign.go",
		from:   "\tif r.cert != nil && r.cert != over && !r.cert.Expired(time.Now()) {",
		to:     "\tif false {",
	},
	{
		breaks: "an entry whose answer was lost is made again",
		file:   "pkg/signretry/sign.go",
		from:   "\tif err := r.call(ctx, submit, func(ctx context.Context) error { return r.Signer.Submit(ctx, draft, log) }); err != nil {\n\t\treturn err\n\t}",
		to:     "\tif err := r.call(ctx, submit, func(ctx context.Context) (err error) {\n\t\tif err = r.Signer.Submit(ctx, draft, log); err != nil {\n\t\t\treturn &signing.Error{Stage: signing.StageLog, Kind: signing.KindConflict, Message: \"again\"}\n\t\t}\n\t\treturn nil\n\t}); err != nil {\n\t\treturn err\n\t}",
	},
	{
		breaks: "a bundle is not made for the other registries",
		file:   "pkg/signretry/image.go",
		from:   "\t\t\tbundle = l.statements[n].bundle\n",
		to:     "",
	},
	{
		breaks: "a signature that is not attached is called signed",
		file:   "pkg/signretry/attach.go",
		from:   "\t\ta.entry, a.listed, err = r.Registry.Attach(ctx, l.ref, signing.ReferrerMediaType, manifest)\n",
		to:     "\t\t_, a.listed = manifest, true\n",
	},
	{
		breaks: "what is transient is not tried again",
		file:   "pkg/retry/retry.go",
		from:   "\treturn ok && t.Transient()\n}",
		to:     "\treturn ok && t.Transient() && false\n}",
	},
	{
		breaks: "Retry-After longer than the time left is waited for",
		file:   "pkg/retry/retry.go",
		from:   "\t\tif after >= remaining {",
		to:     "\t\tif false {",
	},
	{
		breaks: "regcleanup takes the images of others by their digest",
		file:   "pkg/cleanup/plan.go",
		from:   "\tcase c.Published != \"\" && before.Digest == \"\":\n\t\treturn Delete,",
		to:     "\tcase before.Digest == \"\":\n\t\treturn Delete,",
	},
}
