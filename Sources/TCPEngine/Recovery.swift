package import TCPWire

/// What a sender is about when something was lost, or seemed to be.
package struct Recovery {
    private let inPlace = InPlace()
    package enum Phase: UInt8 {
        /// Nothing is being repaired.
        case open
        /// The window comes down because routers said that queues grow (RFC 3168 §6.1.2); nothing was lost.
        case reduced
        /// Fast recovery (RFC 5681 §3.2, RFC 6675 §5).
        case fast
        /// After a retransmission timeout.
        case timeout
        /// After the path was found to be narrower: everything goes again in smaller segments, and nothing of it was lost
        /// to congestion.
        case resized
        /// After a probe of a larger size was lost alone: its octets go again at once in smaller segments, which takes no
        /// window, for the probe has left the network.
        case divided
    }

    package var phase = Phase.open
    /// Timeouts in a row without progress.
    package var timeouts: UInt8 = 0
    /// Where RFC 5682's algorithm stands.
    var forward = ForwardRTO.off
    /// RecoveryPoint (RFC 6675 §2), and RFC 6582's recover: recovery ends when this is acknowledged.
    package var point: SequenceNumber
    /// Without SACK: octets that duplicates say have left the network.
    package var departed: UInt32 = 0
    /// When it began.
    var startedAt = Instant(nanoseconds: .min / 2)
    var reduction = ProportionalRateReduction()
    var probe = TailLossProbe()
    /// What is needed to take back what a spurious recovery did.
    package var undo: Undo?

    package init(at start: SequenceNumber) { point = start }

    /// Whether the window comes down by proportional rate reduction.
    var reducesWindow: Bool { phase == .fast || phase == .reduced }

    /// Whether losses, or what is sent in smaller segments, are being repaired.
    var isRepairing: Bool { phase != .open && phase != .reduced }

    package func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        hash.add(
            UInt64(phase.rawValue) | UInt64(timeouts) &<< 8 | UInt64(forward.rawValue) &<< 16
                | UInt64(departed) &<< 32)
        hash.add(origin.local(point))
        if phase != .open { hash.add(past: startedAt, origin.now) }
        if reducesWindow { reduction.fingerprint(into: &hash) }
        probe.fingerprint(into: &hash, origin)
        hash.add(undo != nil)
        undo?.fingerprint(into: &hash, origin)
    }
}
