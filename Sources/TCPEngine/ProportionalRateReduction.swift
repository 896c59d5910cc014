/// Proportional rate reduction (RFC 9937): what may be sent on each acknowledgment while a loss is repaired, so that the
/// window comes down to its threshold step by step. Counts are octets.
package struct ProportionalRateReduction {
    /// prr_delivered: delivered since recovery began.
    private(set) var delivered: UInt32 = 0
    /// prr_out: sent since recovery began.
    private(set) var out: UInt32 = 0
    /// RecoverFS: what was in flight when it began.
    private(set) var flight: UInt32 = 1

    package init() {}

    /// RFC 9937 §6.1: recovery begins with `flight` octets outstanding that the peer had not reported.
    package mutating func begin(flight: Int) {
        delivered = 0
        out = 0
        self.flight = max(1, UInt32(clamping: flight))
    }

    /// `octets` left, new ones or old.
    package mutating func send(_ octets: Int) { out = out.addingSaturating(octets) }

    /// RFC 9937 §6.2: the window after an acknowledgment that delivered `newly` octets, with `pipe` in flight. It `isSafe`
    /// when SND.UNA advanced and nothing more was found lost.
    package mutating func window(delivered newly: Int, pipe: Int, threshold: UInt32, isSafe: Bool, segmentSize: Int)
        -> UInt32
    {
        delivered = delivered.addingSaturating(newly)
        var count: Int
        if pipe > Int(threshold) {
            // Proportional rate reduction, rounded up.
            let share = (UInt64(delivered) &* UInt64(threshold) &+ UInt64(flight) &- 1) / UInt64(flight)
            count = Int(clamping: share) &- Int(out)
        } else {
            // PRR-CRB: packet conservation. With progress and no loss, PRR-SSRB: a segment more, to catch up.
            count = max(Int(delivered) &- Int(out), newly)
            if isSafe { count &+= segmentSize }
            count = min(Int(threshold) &- pipe, count)
        }
        // The retransmission that recovery begins with is never held back.
        if out == 0 { count = max(count, segmentSize) }
        return UInt32(clamping: max(pipe &+ max(count, 0), 0))
    }

    package func fingerprint(into hash: inout Fingerprint) {
        hash.add(UInt64(delivered) | UInt64(out) &<< 32)
        hash.add(UInt64(flight))
    }
}

extension UInt32 {
    fileprivate func addingSaturating(_ octets: Int) -> UInt32 { UInt32(clamping: Int(self) &+ octets) }
}
