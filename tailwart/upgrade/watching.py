"""How long nobody answered: a watch on the host tries five times a second while something is replaced."""

from __future__ import annotations

from tailwart.runner import Runner

_DIRECTORY = "/run/tailwart-upgrade"

_WATCH = f"""
set -eu; umask 077; d={_DIRECTORY}; rm -rf $d; mkdir $d; : >$d/gaps; : >$d/run
cat >$d/watch.sh <<'END'
d={_DIRECTORY}; down=
answers() {{ @answers@
}}
look_again() {{ @look_again@
}}
while [ -e $d/run ]; do
  now=$(date +%s%3N)
  if answers 2>/dev/null; then
    [ -z "$down" ] || echo $((now - down)) >>$d/gaps; down=
  else
    look_again
    [ -z "$first" ] || [ -n "$down" ] || down=$now
  fi
  first=no; sleep 0.2
done
[ -z "$down" ] || echo $(($(date +%s%3N) - down)) >>$d/gaps
: >$d/done
END
setsid timeout 3600 bash $d/watch.sh >/dev/null 2>&1 </dev/null &
"""
_END = f"""
d={_DIRECTORY}; rm -f $d/run; i=0
while [ $i -lt 40 ] && [ -d $d ] && [ ! -e $d/done ]; do sleep 0.1; i=$((i+1)); done
cat $d/gaps 2>/dev/null; rm -rf $d
"""


def begin(run: Runner, answers: str, look_again: str = ":") -> None:
    """Watch from now on; where that is not possible, the time stays unknown.

    ``answers`` is the bash command that succeeds while somebody answers, ``look_again`` one that prepares the next try
    after it has failed. The first try of all may only find out where to look: it counts for nothing.
    """
    run(_WATCH.replace("@answers@", answers).replace("@look_again@", look_again), timeout=60)


def end(run: Runner) -> float:
    """The seconds in which nobody answered since the watch began."""
    gaps = run(_END, timeout=60).stdout.split()
    return sum(int(gap) for gap in gaps if gap.isdecimal()) / 1000
