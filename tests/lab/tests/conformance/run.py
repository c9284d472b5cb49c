def line(pair):
    name, run = pair
    try:
        return f"{name}: {' | '.join(str(part) for part in run())}"
    except Exception as error:
        return f"{name}: the probe failed: {error!r}"


# Most of a probe's time is waiting.
with ThreadPoolExecutor(12) as pool:
    for printed in pool.map(line, PROBES):
        print(printed, flush=True)
for pair in ALONE:
    print(line(pair), flush=True)
