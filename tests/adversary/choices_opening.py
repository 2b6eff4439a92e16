"""Does anything open but sums over the company that each client saw? Linear algebra over Q.

A ``Profile`` says what every honest client was told: its view (lists and groups, which is what h
covers), and the accepted set, or sets. Every plain statistic and every mask stream is a formal
variable; uploads count through P, so one variable stands for a client's statistic in both sums.
What the server can compute of statistics is the part of the span of everything it holds that is
free of masks. **Claim**: where an honest client's statistic occurs in it, every other honest
member of the group *that this client saw* occurs with the same weight; and whole updates occur in
one total only, over at least two honest clients.

Here the server may hand out views without a quorum and draw groups as it likes: what statistics
show must not hang on any threshold. Whether it can choose the draw is ``choices_draw``.

``profiles`` is everything for a small cohort. ``main_view`` reduces by dominance, for larger ones:
an honest client whose view is not the one under which shares are given is in no accepted set, so
its self mask, which stands in one row only, stays closed and takes its upload with it; its
statistics are masked under its own h, and streams of different h share no variable, so what
follows from all rows is the sum of what follows under each h. It is enough to look at each view
with those who share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, cached_property
from itertools import combinations, product

from choices import Check, Clients, Setting, subsets
from choices_told import Group, Known, Profile, Told, View, groupings
from linear import Vector, masked, scaled, without_masks


class OpeningSearch:
    """One setting; profiles; the claim for each."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.examined = 0
        self.opened = 0
        self._judged: dict[Known, str] = {}

    # What a client answers ----------------------------------------------------------------------

    def sends(self, client: int, view: View) -> bool:
        """Phase 4."""
        has = self.setting.checked
        member = client in view.told.uploaded or not has(Check.OWN_MEMBER)
        forged = view.group(client) & frozenset(view.forged)
        return member and not (forged and has(Check.KEYS_VERIFIED))

    def _named(self, view: View) -> object:
        """What h tells apart."""
        if self.setting.checked(Check.WHOLE_STATEMENT):
            return view
        return (view.told.uploaded, view.groups, view.forged)

    def signs(self, profile: Profile, client: int, accepted: Group) -> bool:
        """Phase 5: whether ``client`` would sign ``accepted`` under its own view."""
        has, view = self.setting.checked, profile[client].view
        if profile[client].silent or len(accepted) < self._fewest_accepted:
            return False
        whole = all(set(g) <= set(accepted) or not set(g) & set(accepted) for g in view.groups)
        if has(Check.WHOLE_GROUPS) and not whole:
            return False
        mine = self._named(view)
        signed = frozenset(
            c for c, told in profile.items() if not told.silent and self._named(told.view) == mine
        ) | self.setting.colluding  # fmt: skip
        if has(Check.MEMBERS_SIGNED) and not set(accepted) <= signed & set(view.told.uploaded):
            return False
        return not has(Check.CONNECTED) or self._connected(frozenset(accepted))

    @property
    def _fewest_accepted(self) -> int:
        return max(-(-self.setting.count // 2), self.setting.colluders + 2)

    @cache  # noqa: B019 - lives as long as its test
    def _connected(self, accepted: Clients) -> bool:
        """Whether the rest of ``accepted`` is connected whichever c clients are taken out."""
        if not self.setting.degree:
            return True
        for bad in combinations(sorted(accepted), min(self.setting.colluders, len(accepted))):
            rest = set(accepted - frozenset(bad))
            reached, queue = set[int](), [min(rest)] if rest else []
            while queue:
                reached.add(client := queue.pop())
                queue += (self.setting.neighbours(client) & rest) - reached
            if reached != rest:
                return False
        return True

    def opens(self, profile: Profile, client: int, accepted: Group) -> bool:
        """Phase 6: Q signatures on its own (h, A)."""
        if not self.setting.checked(Check.AGREED):
            return True
        mine = self._named(profile[client].view)
        signed = frozenset(
            c for c, told in profile.items()
            if accepted in told.accepted and self._named(told.view) == mine
        )  # fmt: skip
        signers = self.setting.signers() & (signed | self.setting.colluding)
        return len(signers) >= self.setting.quorum()

    # What the server holds ----------------------------------------------------------------------

    def known(self, profile: Profile) -> Known:
        answers = [
            (client, accepted, frozenset(told.view.told.dealt))
            for client, told in profile.items()
            for accepted in told.accepted
            if self.opens(profile, client, accepted)
        ]
        both = not self.setting.checked(Check.NEVER_BOTH)
        seeds = [(c, frozenset(a) & dealt) for c, a, dealt in answers]
        keys = [(c, dealt if both else dealt - frozenset(a)) for c, a, dealt in answers]
        return Known(
            tuple((c, told.views, told.silent) for c, told in profile.items()),
            self._restored(seeds, profile),
            self._restored(keys, profile),
            frozenset(
                pair for client, accepted, _ in answers
                for pair in self._images(profile[client].view, client, accepted)
            ),
            frozenset(frozenset(a) & self.setting.honest for _, a, _ in answers),
        )  # fmt: skip

    def _restored(self, given: list[tuple[int, Clients]], profile: Profile) -> Clients:
        """Honest owners of whom t shares are in the server's hands."""
        return frozenset(
            owner
            for owner in self.setting.honest
            if len(
                {holder for holder, owners in given if owner in owners} & self._held(owner, profile)
                | self._held(owner, profile) & self.setting.colluding
            )
            >= self.setting.threshold
        )

    def _held(self, owner: int, profile: Profile) -> Clients:
        return self.setting.holders(owner) & frozenset(profile[owner].view.told.advertised)

    def _images(self, view: View, client: int, accepted: Group) -> Iterator[tuple[int, int]]:
        """Phase 7, answered by whoever helped to open a total; the server says it failed."""
        if client not in accepted:
            return
        if self.setting.degree and self.setting.checked(Check.COMPLETE_ONLY):
            return
        for peer in frozenset(accepted) & self.setting.neighbours(client):
            if peer not in view.group(client) or not self.setting.checked(Check.INSIDE_CLOSED):
                yield (min(client, peer), max(client, peer))

    def statistics(self, known: Known) -> list[Vector]:
        """Rows of phase 4, without masks that a colluder or the server knows."""
        rows = []
        for client, views, silent in known.told:
            for view in () if silent else views:
                bound = view if self.setting.checked(Check.BOUND_TO_H) else None
                mates = view.group(client) & self.setting.honest - {client} - set(view.forged)
                rows.append(masked(client, mates, "statistics", bound))
        return rows

    def uploads(self, known: Known, images: bool) -> list[Vector]:
        """Rows of phase 2; ``images``: through P, where the masks of phase 7 are known."""
        rows = []
        for client, views, _ in known.told:
            peers = self.setting.neighbours(client) & frozenset(views[0].told.dealt)
            peers &= self.setting.honest - known.keys
            if client in known.keys:
                peers = frozenset()
            if images:
                peers = frozenset(
                    p for p in peers if (min(client, p), max(client, p)) not in known.images
                )
            row = masked(client, peers, "update", None)
            if client not in known.seeds:
                row["self", client] = 1
            rows.append(row)
        return rows

    # The claim ----------------------------------------------------------------------------------

    def complaint(self, profile: Profile) -> str:
        """Why the claim fails for ``profile``; empty when it holds."""
        known = self.known(profile)
        if known not in self._judged:
            self._judged[known] = self._judge(known, profile)
            self.opened += bool(known.seeds)
        return self._judged[known]

    def _judge(self, known: Known, profile: Profile) -> str:
        both = [*self.statistics(known), *self.uploads(known, images=True)]
        for found in without_masks(both):
            for client in self.setting.honest & found.keys():
                views = profile[client].views
                if any(
                    found.get(mate, 0) != found[client]
                    for view in views
                    for mate in view.group(client) & self.setting.honest
                ):
                    return "statistics without their company"
                if profile[client].silent:
                    return "statistics that were never sent"
                if not all(client in view.group(client) for view in views):
                    return "statistics without a group"
        updates = without_masks(self.uploads(known, images=False))
        if len(updates) > 1 or len(known.totals) > 1:
            return "two totals"
        sums = [dict.fromkeys(total, 1) for total in known.totals]
        if any(scaled(u) not in sums or len(u) < 2 for u in updates):
            return "another total"
        return ""

    def first(self, profiles: Iterator[Profile]) -> tuple[str, Profile] | None:
        for profile in profiles:
            self.examined += 1
            if why := self.complaint(profile):
                return why, profile
        return None

    # Every profile ------------------------------------------------------------------------------

    @cached_property
    def views(self) -> tuple[View, ...]:
        """Every list and every grouping of it; and, because that is what the check is for, one
        forged key in each."""
        size = self.setting.group_size
        plain = [
            View(told, groups)
            for told in self.setting.statements()
            for groups in groupings(told.uploaded, size)
        ]
        if self.setting.checked(Check.KEYS_VERIFIED):
            return tuple(plain)
        peer = min(self.setting.honest)
        return tuple(plain + [View(v.told, v.groups, (peer,)) for v in plain])

    @cache  # noqa: B019
    def acceptable(self, view: View) -> tuple[Group, ...]:
        """What a client with this view may be asked to accept."""
        if Check.WHOLE_GROUPS in self.setting.checks:
            parts = [frozenset(g) for g in view.groups]
            unions = {
                frozenset[int]().union(*chosen)
                for chosen in product(*((part, frozenset[int]()) for part in parts))
            }
        else:
            unions = set(subsets(frozenset(view.told.uploaded)))
        return tuple(sorted(tuple(sorted(u)) for u in unions if len(u) >= self._fewest_accepted))

    def profiles(self) -> Iterator[Profile]:
        """Each client its own view, then each its own accepted set."""
        for profile in self.statistics_only():
            yield from self._accepting(profile)

    def one_apart(self) -> Iterator[Profile]:
        """One view for all honest clients but the first, which is shown any other; all accept the
        same set, where they would. (On the complete graph honest clients differ in name only.)"""
        first, *others = sorted(self.setting.honest)
        for view, other in product(self.views, self.views):
            together = len(view.told.dealt) == self.setting.count
            mine = first in other.told.dealt and self.sends(first, other)
            if not together or not mine:
                continue
            profile = {c: Told((view,), silent=not self.sends(c, view)) for c in others}
            profile = {first: Told((other,)), **profile}
            yield profile
            for accepted in self.acceptable(view):
                able = {c for c in profile if self.signs(profile, c, accepted)}
                yield {
                    c: replace(told, accepted=(accepted,)) if c in able else told
                    for c, told in profile.items()
                }

    def statistics_only(self, whole: bool = False) -> Iterator[Profile]:
        """Each client its own views, nothing accepted; ``whole``: under one U1 and U2, which to
        statistics are part of the name of a view and no more."""
        honest = sorted(self.setting.honest)
        for seen in product(*(self._shown(client, whole) for client in honest)):
            yield {c: Told(views) for c, views in zip(honest, seen, strict=True)}

    def stands_alone(self, profile: Profile) -> Clients:
        """Clients that answered once and whose statistics open by themselves. Everybody has an
        honest mate in all it saw (c = 0, g > 1), so nobody should."""
        self.examined += 1
        found = without_masks(self.statistics(self.known(profile)))
        once = self.setting.honest - self.setting.forgetful
        return frozenset(c for c in once if any(v.keys() == {c} for v in found))

    def main_view(self) -> Iterator[Profile]:
        """One view for some honest clients, enough for a quorum or not, and each its own accepted
        set; the others stay where phase 2 left them (see the module)."""
        for view in self.views:
            if len(view.told.advertised) < self.setting.count:
                continue  # U1 names a view and says who may hold shares: fewer only hold fewer
            able = frozenset(c for c in self.setting.honest if self.sends(c, view))
            for those in subsets(able, 1):
                yield from self._accepting(
                    {c: Told((view,), silent=c not in those) for c in sorted(self.setting.honest)}
                )

    def _shown(self, client: int, whole: bool = False) -> list[tuple[View, ...]]:
        mine = [v for v in self.views if client in v.told.dealt and self.sends(client, v)]
        mine = [v for v in mine if not whole or len(v.told.dealt) == self.setting.count]
        if self.setting.checked(Check.ONCE) and client not in self.setting.forgetful:
            return [(view,) for view in mine]
        return [*((view,) for view in mine), *combinations(mine, 2)]

    def _accepting(self, profile: Profile) -> Iterator[Profile]:
        several = not self.setting.checked(Check.ONE_ACCEPTED)
        choices: list[list[tuple[Group, ...]]] = []
        for client, told in profile.items():
            able = [a for a in self.acceptable(told.view) if self.signs(profile, client, a)]
            pairs = [tuple(two) for two in combinations(able, 2)] if several else []
            choices.append([(), *((a,) for a in able), *pairs])
        for chosen in product(*choices):
            yield {
                client: replace(told, accepted=accepted)
                for (client, told), accepted in zip(profile.items(), chosen, strict=True)
            }
