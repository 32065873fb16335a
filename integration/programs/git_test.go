package programs

// gitUses are of git. What it keeps tells times and inodes: its own commands say whether that is sound.
func gitUses() []use {
	git := func(name, script string) use {
		return use{name: "git " + name, needs: "git", varies: `\.git($|/)|gitmodules`, script: `export GIT_CONFIG_GLOBAL="$OUT/c"; git config --global init.defaultBranch main; git config --global advice.detachedHead false; git config --global protocol.file.allow always
git init -q r; cp -r "$TREE"/. r; cd r; git add .; git commit -qm one; ` + script + `
git fsck --strict 2>&1 | grep -v '^dangling' || true; git status --porcelain`}
	}
	submodule := git("submodule", `cd ..; git init -q s; cd s; git -c protocol.file.allow=always submodule --quiet add "$PWD/../r" sub; git commit -qm sub; cd ..; git clone -q --recurse-submodules s t; diff -r -x .git r t/sub; cd t; git submodule --quiet foreach 'git log --format=%s'; git submodule deinit -q -f sub; ls sub; git submodule --quiet update --init; cd ../r`)
	submodule.long = true
	return []use{
		submodule,
		git("clone", `cd ..; git clone -q r local; git clone -q --no-local r far; git clone -q --bare r b.git; git clone -q --shared r shared; cd local; git log --format=%H; echo x >> 0/1; git commit -qam two; git push -q origin HEAD:other; cd ../far; git fetch -q; git merge -q origin/other; cd ../r; git log --format='%H %s' other; git checkout -q other; cat 0/1; diff -r -x .git . ../local`),
		git("add and reset", `for i in $(seq 40); do echo $i > n$i; done; git add -A; git commit -qm many; git rm -q n1 n2; git mv n3 n4.moved; echo x >> n5; git stash -q; git status --porcelain; git stash pop -q; git status --porcelain | sort; git checkout -q -- n5; git reset -q --hard; git clean -fdq; echo y > n6; git add -p < <(yes y) > /dev/null; git commit -qm six; git show --stat --format=%H | cat; git archive HEAD | tar -t | wc -l; git bundle create -q ../b HEAD; git grep -c directory | tail -1`),
		git("rebase", `for i in 1 2 3 4; do echo $i >> 0/1; echo $i > f$i; git add .; git commit -qm "c$i"; done; git checkout -qb side HEAD~4; echo s >> 1/1; git commit -qam side; git rebase -q side main; git log --format='%H %s'; GIT_SEQUENCE_EDITOR='sed -i s/^pick/squash/;sed -i 1s/squash/pick/' git -c core.editor=true rebase -q -i HEAD~2 || git rebase --abort; git checkout -q side; echo conflict >> f1; git add .; git commit -qm clash; ! git rebase -q main > /dev/null 2>&1; git rebase --abort; git cherry-pick -n main >/dev/null || true; git reset -q --hard; git merge -q -m merged main 2>&1 || { git checkout -q --ours . ; git add -A; git commit -qm resolved; }; git log --oneline | wc -l`),
		git("worktree", `git branch other; git worktree add -q ../w other; cd ../w; echo w >> 0/1; git commit -qam worktree; cd ../r; git merge -q other; cat 0/1; git worktree list | wc -l; git worktree move ../w ../v; git -C ../v status --porcelain; git worktree remove ../v; git worktree prune; ls ..`),
		git("gc", `for i in $(seq 8); do echo $i >> 0/1; git commit -qam "c$i"; done; git tag -a -m t v1; git gc -q; git count-objects | cut -d, -f1; git repack -adfq; git prune; git pack-refs --all; git log --format=%H v1 | tail -1; git reflog expire --expire=now --all; git gc -q --prune=now --aggressive; git rev-list --objects --all | wc -l; git commit-graph write --reachable 2>/dev/null; git multi-pack-index write 2>/dev/null; git for-each-ref`),
	}
}
