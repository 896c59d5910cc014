package import TCPWire

/// What a connection knows of the largest segment its path carries (RFC 1191, RFC 8201). Sizes are octets of payload and
/// TCP options: the path MTU less the fixed headers, as in the MSS option.
package struct PathSize {
    /// The most to send; `.max` while no router has said otherwise.
    package var size = UInt16.max
    /// The largest segment that is known to have arrived: RFC 5927 §7.2's maxsizeacked.
    package var proven: UInt16 = 0
    /// A smaller size that a report names, to be believed when what it is about times out; zero is none.
    package var reported: UInt16 = 0
    /// A segment of the present size has arrived when `proofEnd` is acknowledged.
    package var awaitsProof = false
    /// A link on the path takes less than a segment is worth: routers may cut the packets (DF is clear).
    package var mayFragment = false
    /// Larger sizes are looked for by probes (RFC 4821 §7); else the largest is taken up again when it is time.
    package var searches = false
    /// The next probe is of the largest size that is not ruled out.
    package var triesTop = false
    /// No losses have ruled out the largest size: it is tried once more before the search ends.
    package var topIsOpen = false
    /// The largest size that is not ruled out: RFC 4821's search_high.
    package var searchHigh = UInt16.max
    /// The size of the probe in flight; zero is none.
    package var probeSize: UInt16 = 0
    /// Probes of the size in question that were lost.
    package var failures: UInt8 = 0
    /// Timeouts of large segments with nothing acknowledged in between.
    package var timeouts: UInt8 = 0
    /// What the report is about.
    package var reportedAbout = SequenceNumber(0)
    package var proofEnd = SequenceNumber(0)
    package var probeEnd = SequenceNumber(0)
    /// No larger size is tried before this.
    package var searchAt = Instant.zero
}

extension PathSize {
    /// No size falls below this: a forged report must not turn a connection into headers. An IPv4 path that is narrower cuts
    /// packets; IPv6 has none (RFC 8200 §5).
    static let least: UInt16 = 512
}

extension Connection {
    /// A router says that a segment was too big (RFC 1191 §3, RFC 8201 §4). Only a smaller size is news.
    mutating func pathReports(_ size: Int, about sequence: SequenceNumber, _ context: inout Context) {
        if isOfProbe(sequence) {
            probeReported(size)
            return
        }
        guard size > 0, size < min(linkSegmentSize, path.size), !path.mayFragment else { return }
        let size = UInt16(size)
        if size >= path.proven {
            narrowPath(to: size, &context)
        } else if path.reported == 0 || size < path.reported {
            // RFC 5927 §7.2: larger segments have arrived. A forger can say this too, so it waits for proof: a timeout.
            path.reported = size
            path.reportedAbout = sequence
        }
    }

    /// The retransmission timer expired: a report that waited for that is believed now. Says whether there was one.
    mutating func believeWaitingReport(_ context: borrowing Context) -> Bool {
        guard path.reported > 0 else { return false }
        setPathSize(path.reported, context)
        return true
    }

    /// From now on segments are smaller, and what is in flight goes again: at once, and without a word to congestion
    /// control (RFC 1191 §6.4, RFC 8201 §5.4).
    private mutating func narrowPath(to size: UInt16, _ context: inout Context) {
        let before = segmentSize
        setPathSize(size, context)
        guard isSynAcknowledged, inFlight > 0, send.window > 0 else { return }
        // A peer that takes no more anyway was sent nothing that was too big.
        guard segmentSize < before || path.mayFragment else { return }
        // As many segments as before may be under way, not as many octets: a burst is no answer to a router.
        let segments = max(1, Int(congestion.window) / max(before, 1))
        congestion.window = min(congestion.window, UInt32(clamping: segments &* segmentSize))
        flags.insert(.retransmit)
        retransmitAt = context.now.advanced(byNanoseconds: rtt.timeout(context.parameters))
        cancelTailProbe()
        sendAgain()
        // A recovery from loss stays one: it ends where it was to end.
        guard recovery.phase == .open || recovery.phase == .resized else { return }
        recovery.phase = .resized
        recovery.point = send.next
    }

    /// Segments are of `size` now, and no larger one is tried until it is time.
    mutating func setPathSize(_ size: UInt16, _ context: borrowing Context) {
        path.size = max(size, PathSize.least)
        path.mayFragment = size < PathSize.least
        path.proven = min(path.proven, size)
        path.reported = 0
        path.awaitsProof = false
        path.timeouts = 0
        path.failures = 0
        path.probeSize = 0
        path.searchHigh = path.size
        path.searchAt = context.now.advanced(byNanoseconds: context.parameters.pathRaiseInterval)
    }

    /// A full segment that ends here was sent: its acknowledgment proves that the path carries the size.
    mutating func awaitProof(of end: SequenceNumber) {
        guard !path.awaitsProof, path.proven < min(linkSegmentSize, path.size) else { return }
        path.awaitsProof = true
        path.proofEnd = end
    }

    /// Everything before `number` has arrived.
    mutating func pathCarried(_ number: SequenceNumber, _ context: borrowing Context) {
        path.timeouts = 0
        if path.probeSize > 0, number >= path.probeEnd { probeArrived(context) }
        // RFC 5927 §7.2: what a report was about has arrived, so the report was wrong.
        if path.reported > 0, number > path.reportedAbout { path.reported = 0 }
        if path.awaitsProof, number >= path.proofEnd {
            path.awaitsProof = false
            path.proven = max(path.proven, UInt16(clamping: segmentSize &+ (flags.contains(.timestamps) ? 12 : 0)))
        }
    }

    /// RFC 1191 §6.3: routes change, and a larger size is tried again after a while.
    mutating func agePath(_ context: borrowing Context) {
        guard path.size != .max, context.now >= path.searchAt else { return }
        if path.searches {
            resumeSearch(context)
            return
        }
        path.size = .max
        path.mayFragment = false
        path.awaitsProof = false
    }
}
