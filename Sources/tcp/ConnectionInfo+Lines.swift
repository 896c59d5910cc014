import TCPEngine
import TCPStack
import TCPWire

extension ConnectionInfo {
    /// What a person wants to know of a connection, in a few lines.
    var lines: [String] {
        var lines = [
            "\(octetsAcknowledged) octets sent and acknowledged, \(octetsReceived) received, in segments of up to "
                + "\(maximumSegmentSize).",
            "Round trip \(milliseconds(smoothedRTT)) ms, \(milliseconds(leastRTT)) at best; the timeout is "
                + "\(milliseconds(retransmissionTimeout)).",
            "Window \(congestionWindow) octets by \(CongestionNames.name(congestionControl)), \(phase.words); "
                + "the peer's is \(sendWindow).",
            "\(retransmittedSegments) segments sent again, \(retransmittedOctets) octets: \(recoveries) recoveries, "
                + "\(timeouts) timeouts, \(tailLossProbes) tail loss probes; \(spuriousRecoveries) not called for.",
        ]
        if let deliveryRate {
            let whose = isDeliveryRateApplicationLimited ? "what there was to send" : "what the path delivered"
            lines.append("\(deliveryRate) octets a second of late, \(whose).")
        }
        return lines
    }

    private func milliseconds(_ duration: Duration) -> String {
        let tenths = duration.nanoseconds / 100_000
        return "\(tenths / 10).\(tenths % 10)"
    }
}

extension CongestionPhase {
    fileprivate var words: String {
        switch self {
        case .slowStart: "in slow start"
        case .conservativeSlowStart: "in slow start's cautious end"
        case .avoidance: "in congestion avoidance"
        case .startup: "in Startup"
        case .drain: "in Drain"
        case .probeDown, .probeCruise, .probeRefill, .probeUp: "in ProbeBW"
        case .probeRoundTrip: "in ProbeRTT"
        }
    }
}
