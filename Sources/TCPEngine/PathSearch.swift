import TCPWire

// Packetization layer path MTU discovery (RFC 4821, with the numbers of RFC 8899): full segments that vanish without a word
// from any router make segments smaller, and probes made of real data make them larger again.

extension PathSize {
    /// RFC 8899 §5.1.2, MAX_PROBES: a size is too large when so many probes of it were lost.
    static let probes: UInt8 = 3
    /// RFC 4821 §7.3: a range below this many octets is worth no probe.
    static let worthwhile = 16
    /// RFC 4821 §7.4: segments behind a probe whose duplicate acknowledgments tell that it was lost.
    static let followers = 3
}

/// What the search for a larger size makes of the next segment.
enum ProbeStep {
    case none
    /// The window has no room for a probe yet, and what is in flight will make some.
    case wait
    /// A probe with so many octets of payload.
    case send(Int)
}

extension Connection {
    /// The largest segment either end takes, options included.
    private var ceiling: Int { min(max(48, Int(peerSegmentSize)), Int(linkSegmentSize)) }

    /// What every IPv6 link carries (RFC 8200 §5), and what segments over IPv4 fall to.
    private var leastSegmentSize: Int { flags.contains(.ipv4) ? Int(PathSize.least) : 1220 }

    /// RFC 4821 §7.2, the initial search_low: a size that works nearly everywhere.
    private func baseSegmentSize(_ context: borrowing Context) -> Int {
        max(Int(context.parameters.baseSegmentSize), leastSegmentSize)
    }

    /// Where the probe in flight starts.
    private var probeStart: SequenceNumber {
        path.probeEnd + ((flags.contains(.timestamps) ? 12 : 0) &- Int(path.probeSize))
    }

    /// Segments are of `size` now, and probes look for more.
    private mutating func search(from size: Int, _ context: borrowing Context) {
        setPathSize(UInt16(clamping: size), context)
        // So near the ceiling there is nothing to look for.
        guard ceiling &- size >= PathSize.worthwhile else { return }
        path.searches = true
        widenSearch()
        path.searchAt = context.now
    }

    /// Nothing is ruled out. The largest size comes first: what looked like a black hole may have been an outage.
    private mutating func widenSearch() {
        openTop(.max)
    }

    private mutating func openTop(_ size: UInt16) {
        path.searchHigh = size
        path.triesTop = true
        path.topIsOpen = true
        path.failures = 0
    }

    /// The connection opens: a stack that probes always starts from the base (RFC 4821 §7.2).
    mutating func openPath(_ context: borrowing Context) {
        guard context.parameters.probesPathAlways, path.size == .max, ceiling > baseSegmentSize(context) else { return }
        search(from: baseSegmentSize(context), context)
    }

    // MARK: Down

    /// The first segment in flight timed out. When large ones do, one after another, with nothing acknowledged in between,
    /// the path takes less than it did and nobody says so: RFC 4821 §7.7, RFC 8899 §4.3. The smaller segment goes at once, in
    /// the place of the retransmission that is due; its timeout stays backed off (RFC 6298 §5.5 knows no exception).
    mutating func noteTimeout(_ context: inout Context) {
        if path.probeSize > 0 {
            // RFC 4821 §7.6.3: the timeout of a probe says nothing of the present size.
            if send.unacknowledged == probeStart {
                probeFailed(&context)
                return
            }
            path.probeSize = 0
        }
        guard context.parameters.blackHoleTimeouts > 0 else { return }
        let end = SequenceNumber.earlier(finSequence, transmissions.firstSackedStart ?? send.next)
        let octets =
            min(
                SequenceNumber.earlier(end, send.next).distance(from: send.unacknowledged), Int(send.window),
                segmentSize)
            &+ (flags.contains(.timestamps) ? 12 : 0)
        let base = baseSegmentSize(context)
        var next = base
        if octets <= base {
            // Smaller ones are no sign of a black hole, unless one was found before.
            guard path.searches else { return }
            next = leastSegmentSize
            // Less than 68 octets no link may carry (RFC 791 §3.2): with the fixed headers, 28.
            if octets <= next, !flags.contains(.ipv4) || path.mayFragment || octets <= 28 { return }
        }
        if path.timeouts < .max { path.timeouts &+= 1 }
        guard path.timeouts >= context.parameters.blackHoleTimeouts else { return }
        context.blackHoles &+= 1
        search(from: next, context)
        // RFC 2923 §2.1: the last resort, packets that routers may cut.
        path.mayFragment = octets <= next
    }

    // MARK: Up

    /// RFC 4821 §7.3: the size to probe, options included; `nil` when the range is too small to be worth it.
    private var sizeToProbe: Int? {
        let low = Int(path.size)
        let high = min(Int(path.searchHigh), ceiling)
        let range = high &- low
        guard range >= PathSize.worthwhile else { return nil }
        // A success costs a round trip, a failure three windows of them: so a quarter of the way, not half.
        let takesTop = path.triesTop || path.topIsOpen && range < 4 &* PathSize.worthwhile
        // Never more than twice the size, so that two segments make a lost probe good.
        var size = min(takesTop ? high : low &+ range / 4, 2 &* low)
        // What most paths carry comes before what is larger.
        let common = flags.contains(.ipv4) ? 1460 : 1440
        if low < common, common < size { size = common }
        return size
    }

    /// RFC 4821 §7.4: a probe goes when none is out, nothing is lost, it is time, and the windows and what waits are enough
    /// for it and for what must follow it.
    func nextProbe(_ unsent: Int, room: Int, _ options: TCPOptions, _ context: borrowing Context) -> ProbeStep {
        guard path.searches, path.probeSize == 0, recovery.phase == .open, transmissions.sackedOctets == 0,
            duplicateAcknowledgments == 0,
            options.sackCount == 0, context.now >= path.searchAt, let size = sizeToProbe
        else { return .none }
        let octets = size &- (flags.contains(.timestamps) ? 12 : 0)
        let train = octets &+ PathSize.followers &* segmentSize
        guard unsent >= train, Int(send.window) >= train, Int(congestion.window) >= train else { return .none }
        return room >= train && Int(congestion.window) &- inFlight >= octets ? .send(octets) : .wait
    }

    /// A probe of `octets` was sent, SND.NXT included.
    mutating func probeSent(_ octets: Int, _ context: inout Context) {
        path.probeSize = UInt16(clamping: octets &+ (flags.contains(.timestamps) ? 12 : 0))
        path.probeEnd = send.next
        context.probesSent &+= 1
    }

    /// RFC 4821 §7.6.1: the path carries the probe, and from now on segments of its size.
    mutating func probeArrived(_ context: borrowing Context) {
        // A report that ruled it out was wrong.
        if path.probeSize > path.searchHigh { widenSearch() }
        path.size = path.probeSize
        path.proven = max(path.proven, path.size)
        path.probeSize = 0
        path.failures = 0
        path.timeouts = 0
        path.mayFragment = false
        if Int(path.size) >= ceiling {
            path.size = .max
            path.searches = false
        } else if sizeToProbe == nil {
            path.searchAt = context.now.advanced(byNanoseconds: context.parameters.pathRaiseInterval)
        }
    }

    /// Whether the peer reports to hold the probe.
    var probeIsHeld: Bool {
        guard path.probeSize > 0, let end = transmissions.sackedEnd(holding: probeStart) else { return false }
        return end >= path.probeEnd
    }

    /// What is sent again from `start` to `end` proves nothing of a probe it is part of: RFC 4821 §7.6.4, inconclusive. The
    /// same size is tried again.
    mutating func sentAgain(from start: SequenceNumber, to end: SequenceNumber) {
        if path.probeSize > 0, start < path.probeEnd, end > probeStart { path.probeSize = 0 }
    }

    /// RFC 4821 §7.6.2: of all that is in flight the probe alone was lost. It goes again at once, in segments of the present
    /// size, and congestion control hears nothing of it. Says whether that was so.
    mutating func repairProbe(_ context: inout Context) -> Bool {
        guard path.probeSize > 0, send.unacknowledged == probeStart else { return false }
        // Another hole: that is congestion, and the probe may have met it too (§7.6.4). Without SACK nothing tells of
        // another: what else was lost shows when this is repaired.
        if let first = transmissions.firstSackedStart {
            guard transmissions.sackedRanges == 1, first == path.probeEnd else { return false }
        }
        guard transmissions.makeRoom(for: 1, &context) else { return false }
        transmissions.cut(at: path.probeEnd)
        var index = 0
        while index < transmissions.count, transmissions.start(of: index) < path.probeEnd {
            if !transmissions[index].isLost { _ = transmissions.noteLost(index) }
            index = transmissions.join(at: index) &+ 1
        }
        recovery.phase = .divided
        recovery.point = path.probeEnd
        recovery.departed = 0
        flags.insert(.retransmit)
        cancelTailProbe()
        probeFailed(&context)
        return true
    }

    /// RFC 4821 §7.6.2, §7.6.3: the probe was lost.
    private mutating func probeFailed(_ context: inout Context) {
        context.probesLost &+= 1
        let size = path.probeSize
        path.probeSize = 0
        if path.triesTop, Int(size) == min(Int(path.searchHigh), ceiling) {
            // Once is enough to begin from below; that it is too large is not settled.
            path.triesTop = false
        } else if size <= path.searchHigh {
            // If a report has ruled it out already, this is no news.
            path.failures &+= 1
            if path.failures >= PathSize.probes {
                path.searchHigh = size &- 1
                path.triesTop = false
                path.topIsOpen = false
                path.failures = 0
            }
        }
        // §7.6.2: not again before congestion control would have seen a loss anyway, which takes as many round trips as the
        // window has segments. §7.3: when the search has converged, not for long.
        let segments = Int64(max(1, Int(congestion.window) / segmentSize))
        path.searchAt = context.now.advanced(
            byNanoseconds: sizeToProbe == nil
                ? context.parameters.pathRaiseInterval
                : max(rtt.smoothed, RTTEstimator.granularity) &* segments)
    }

    /// A router says what the path takes, about the probe. That is less than the probe and no less than what arrives now, or
    /// it is no news; and if the probe arrives it was no truth either (RFC 5927 §7.2).
    mutating func probeReported(_ size: Int) {
        guard size >= Int(path.size), size < Int(path.probeSize) else { return }
        openTop(UInt16(size))
    }

    /// Whether the octet is one of the probe in flight.
    func isOfProbe(_ sequence: SequenceNumber) -> Bool {
        path.probeSize > 0 && sequence >= probeStart && sequence < path.probeEnd
    }

    /// RFC 4821 §7.3: the time after a search that has converged is over, and the whole range is open again.
    mutating func resumeSearch(_ context: borrowing Context) {
        guard path.probeSize == 0, sizeToProbe == nil else { return }
        widenSearch()
        path.searchAt =
            sizeToProbe == nil
            ? context.now.advanced(byNanoseconds: context.parameters.pathRaiseInterval) : context.now
    }
}
