package import TCPWire

/// What a server is put under: peers that transfer, peers that misbehave, and forged SYNs.
package struct Load: Sendable {
    /// Connections that send octets, get them back, and check each one.
    package var transferring = 2_000
    /// Octets each of them sends.
    package var octets = 32_768
    /// Peers that send for ever and never read.
    package var neverReading = 500
    /// Peers that vanish, in each state there is.
    package var vanishing = 500
    /// Forged SYNs a second, each from an address of its own, as long as anybody transfers; and the most of them.
    package var forgedSyns = 10_000
    package var mostForged = Int.max
    /// How long the peers take to begin, one after the other.
    package var opening: Duration = .seconds(10)
    /// The server.
    package var server: Endpoint
    /// Where everything comes from that is made up.
    package var seed: UInt64 = 1

    package init(server: Endpoint) { self.server = server }
}

/// What a peer asks the server's program for, in the first octet it sends; eight octets with a size follow.
package enum LoadRequest: UInt8, Sendable {
    /// All that comes comes back.
    case echo
    /// So many octets, please.
    case send
    /// The program closes at once.
    case close
    /// The program closes when the peer has.
    case wait

    package static let length = 9

    package func encoded(size: Int) -> [UInt8] {
        [rawValue] + (0..<8).map { UInt8(truncatingIfNeeded: UInt64(size) &>> UInt64(56 - 8 * $0)) }
    }
}

/// The state of the server in which a peer goes, or what else is wrong with it.
package enum LoadGhostKind: UInt8, Sendable, CaseIterable {
    case synReceived, established, finWait1, finWait2, closeWait, closing, lastAck, timeWait
    case neverReads
}
