internal import TCPEngine
internal import TCPStack
internal import TCPWire

// What tells two worlds apart.
extension World {
    /// Everything that what happens later depends on. `counted` says whether the number of copies still allowed is part of it.
    func fingerprint(counted: Bool = true) -> Fingerprint {
        var hash = Fingerprint()
        if counted { hash.add(copiesLeft) }
        for host in hosts { add(host, &hash) }
        var packets = Fingerprint(low: 0, high: 0)
        for packet in flight where fault != .forgetfulFingerprint {
            packets.addUnordered(packet.fingerprint(origin(1 - packet.destination)))
        }
        hash.add(packets.low)
        hash.add(packets.high)
        hash.add(flight.count)
        // Timestamps count milliseconds, the wheel ticks: where in a millisecond a tick lies tells when the next one begins.
        if scene.timestamps { hash.add(Int(now.nanoseconds % 1_000_000)) }
        return hash.mixed
    }

    func origin(_ end: Int) -> Fingerprint.Origin {
        Fingerprint.Origin(locals: bases[end], remotes: bases[1 - end], now: now)
    }

    private func add(_ host: Host, _ hash: inout Fingerprint) {
        let origin = origin(host.index)
        host.stack.fingerprint(into: &hash, origin)
        // Where a later connection's ISN would lie, and how far the ISNs there were are apart, in ticks of the wheel: past
        // every window it does not matter how far.
        let next = host.stack.initialSequence(remote: host.remote, localPort: host.local.port, at: now)
        var later = next
        for base in bases[host.index] {
            let nanoseconds = Int64(min(later.distance(from: base), 4 * Scene.buffer)) * 4_000
            hash.add(Int((nanoseconds + RTTEstimator.tick / 2) / RTTEstimator.tick))
            later = base
        }
        hash.add(host.position)
        hash.add(host.connection == nil)
        hash.add(host.hasAborted)
        hash.add(Int(host.toldState.rawValue))
        for life in host.lives { add(life, origin, &hash) }
        hash.add(host.lives.count)
        var pairs = Fingerprint(low: 0, high: 0)
        for pair in host.pairs {
            var one = Fingerprint()
            one.add(origin.local(pair.local) | origin.remote(pair.remote) &<< 32)
            pairs.addUnordered(one)
        }
        hash.add(pairs.low)
        hash.add(pairs.high)
    }

    private func add(_ life: Life, _ origin: Fingerprint.Origin, _ hash: inout Fingerprint) {
        hash.add(
            origin.local(life.initial)
                | (life.peerInitial.map { origin.remote($0) } ?? 0) &<< 32)
        hash.add(life.written)
        hash.add(life.read)
        hash.add(life.isClosed)
        hash.add(life.isAborted)
        hash.add(life.sawEnd)
        hash.add(life.hasEnded)
        hash.add(Int(life.error?.rawValue ?? 255))
    }
}
