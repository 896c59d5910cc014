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
        for packet in flight { packets.addUnordered(packet.fingerprint(origin(1 - packet.destination))) }
        hash.add(packets.low)
        hash.add(packets.high)
        hash.add(flight.count)
        // Timestamps count milliseconds, the wheel ticks: where in a millisecond a tick lies tells when the next one begins.
        if scene.timestamps { hash.add(Int(now.nanoseconds % 1_000_000)) }
        return hash.mixed
    }

    func origin(_ end: Int) -> Fingerprint.Origin {
        Fingerprint.Origin(local: bases[end], remote: bases[1 - end], now: now)
    }

    private func add(_ host: Host, _ hash: inout Fingerprint) {
        let origin = origin(host.index)
        host.stack.fingerprint(into: &hash, origin)
        // Where a later connection's ISN would lie: past every window it does not matter how far.
        let next = host.stack.initialSequence(remote: host.remote, localPort: host.local.port, at: now)
        hash.add(min(next.distance(from: origin.local), 4 * Scene.buffer))
        if fault != .forgetfulFingerprint { hash.add(host.position) }
        hash.add(host.connection == nil)
        hash.add(host.hasAborted)
        hash.add(Int(host.toldState.rawValue))
        for life in host.lives { add(life, origin, &hash) }
        hash.add(host.lives.count)
        var pairs = Fingerprint(low: 0, high: 0)
        for pair in host.pairs {
            var one = Fingerprint()
            one.add(UInt64(pair.local - origin.local) | UInt64(pair.remote - origin.remote) &<< 32)
            pairs.addUnordered(one)
        }
        hash.add(pairs.low)
        hash.add(pairs.high)
    }

    private func add(_ life: Life, _ origin: Fingerprint.Origin, _ hash: inout Fingerprint) {
        hash.add(
            UInt64(life.initial - origin.local)
                | UInt64(life.peerInitial.map { $0 - origin.remote } ?? .max) &<< 32)
        hash.add(life.written)
        hash.add(life.read)
        hash.add(life.isClosed)
        hash.add(life.isAborted)
        hash.add(life.sawEnd)
        hash.add(life.hasEnded)
        hash.add(Int(life.error?.rawValue ?? 255))
    }
}
