internal import TCPStack

/// What a program does with its connection, in this order; when it does the next thing is what is explored.
package enum Step: Hashable, Sendable {
    /// An active OPEN.
    case open
    /// A SEND of that many octets.
    case write(Int)
    /// CLOSE: it goes on reading.
    case close
}

/// The program at one end. It reads whatever there is at once, and lets go of its connection when that has ended.
package struct Programme: Hashable, Sendable {
    package var steps: [Step]
    /// Whether it may abort its connection, once, at any time.
    package var mayAbort = false

    package init(_ steps: [Step], mayAbort: Bool = false) {
        self.steps = steps
        self.mayAbort = mayAbort
    }
}

/// A packet of an earlier connection between the same endpoints, still on its way when the new one opens.
package enum OldPacket: Hashable, Sendable, CaseIterable {
    /// The client's SYN.
    case syn
    /// The server's SYN-ACK.
    case synAck
    /// The client's data.
    case data
    /// The server's acknowledgment of that data.
    case acknowledgment
    /// The client's FIN.
    case fin
    /// The server's reset.
    case reset
}

/// Where an exploration begins, and what may happen in it.
package struct Scene: Sendable, CustomStringConvertible {
    package var description: String { name }

    /// What happened before.
    package enum Prelude: Hashable, Sendable {
        /// Nothing: the server listens.
        case listening
        /// Nothing, and nobody listens.
        case idle
        /// The client has opened, the server has accepted, nothing is on its way.
        case established
        /// The same endpoints had a connection that the server aborted; these packets of it are still on their way.
        case earlier(Set<OldPacket>)
    }

    package var name: String
    /// Of the client, and of the server.
    package var programmes: [Programme]
    package var prelude: Prelude
    /// How much deeper than the others of its kind it is explored.
    package var extraDepth = 0
    /// How often, on one path, a packet is delivered while a copy of it stays on its way.
    package var copies = 2
    package var timestamps = false
    package var selectiveAcknowledgment = true

    package init(_ name: String, client: Programme, server: Programme, after prelude: Prelude) {
        self.name = name
        programmes = [client, server]
        self.prelude = prelude
    }

    /// The same, explored deeper.
    package func deeper(by moves: Int) -> Scene {
        var scene = self
        scene.extraDepth = moves
        return scene
    }

    /// The same with timestamps (RFC 7323).
    package func withTimestamps() -> Scene {
        var scene = self
        scene.name += ", timestamps"
        scene.timestamps = true
        return scene
    }

    /// What both stacks are made with: the defaults in time, small in buffers.
    var configuration: Configuration {
        var configuration = Configuration()
        configuration.receiveBuffer = Scene.buffer
        configuration.sendBuffer = Scene.buffer
        configuration.memoryBudget = 1 << 20
        configuration.windowScaling = false
        configuration.timestamps = timestamps
        configuration.selectiveAcknowledgment = selectiveAcknowledgment
        configuration.recordsStateChanges = true
        return configuration
    }

    static let buffer = 4096
}

/// What `tcp explore` explores.
public enum ExplorationKind: String, CaseIterable, Sendable {
    /// The handshake, active and passive, and old packets of an earlier connection in it.
    case open
    /// Both directions close, from either end or from both, with data on the way.
    case close
    /// A connection's whole life.
    case openClose = "open-close"
    /// Both ends open at once, and both close.
    case simultaneous
    /// Either end aborts, in whatever state it is.
    case reset

    /// The depth to which it is explored by default: the most steps of a path. Scenes that begin with nothing on its way go
    /// two steps further where the others begin with more.
    public var defaultDepth: Int {
        switch self {
        case .open: 7
        case .close: 8
        case .openClose: 9
        case .simultaneous: 8
        case .reset: 7
        }
    }

    /// What is explored, one after the other.
    package var scenes: [Scene] {
        switch self {
        case .open: openings
        case .close: closings
        case .openClose: lives
        case .simultaneous: simultaneous
        case .reset: resets
        }
    }

    private var openings: [Scene] {
        let client = Programme([.open, .write(2)])
        let server = Programme([.write(3)])
        func after(_ packets: Set<OldPacket>, _ name: String) -> Scene {
            Scene(name, client: client, server: server, after: .earlier(packets))
        }
        return [
            Scene("a client opens", client: client, server: server, after: .listening).deeper(by: 2),
            Scene("a client opens", client: client, server: server, after: .listening).deeper(by: 2).withTimestamps(),
            after([.syn], "an old SYN"),
            after([.syn], "an old SYN").withTimestamps(),
            after([.syn, .data, .fin], "an old SYN, its data and its FIN"),
            after([.synAck, .acknowledgment], "an old SYN-ACK and an old acknowledgment"),
            after([.syn, .reset], "an old SYN and an old reset"),
        ]
    }

    private var closings: [Scene] {
        func close(_ name: String, _ client: [Step], _ server: [Step]) -> Scene {
            Scene(name, client: Programme(client), server: Programme(server), after: .established)
        }
        return [
            close("both ends close", [.close], [.close]),
            close("both ends close", [.close], [.close]).withTimestamps(),
            close("half-close with data", [.close], [.write(2), .close]),
            close("data, then both close", [.write(2), .close], [.write(3), .close]),
        ]
    }

    private var lives: [Scene] {
        let client = Programme([.open, .write(2), .close])
        return [
            Scene("a request, no answer", client: client, server: Programme([.close]), after: .listening),
            Scene("a request, an answer", client: client, server: Programme([.write(3), .close]), after: .listening)
                .withTimestamps(),
        ]
    }

    private var simultaneous: [Scene] {
        let both = Programme([.open, .close])
        let data = Programme([.open, .write(2), .close])
        return [
            Scene("both ends open and close", client: both, server: both, after: .idle),
            Scene("both ends open, write and close", client: data, server: data, after: .idle),
            Scene("both ends open and close", client: both, server: both, after: .idle).withTimestamps(),
            Scene(
                "both ends close at once", client: Programme([.write(2), .close]), server: Programme([.close]),
                after: .established),
        ]
    }

    private var resets: [Scene] {
        let client = Programme([.open, .write(2), .close], mayAbort: true)
        let server = Programme([.write(2), .close], mayAbort: true)
        let both = Programme([.open, .close], mayAbort: true)
        return [
            Scene("either end aborts", client: client, server: server, after: .listening).deeper(by: 2),
            Scene(
                "either end aborts an open connection", client: Programme([.write(2), .close], mayAbort: true),
                server: server, after: .established),
            Scene(
                "either end aborts an open connection", client: Programme([.close], mayAbort: true),
                server: Programme([.close], mayAbort: true), after: .established
            ).withTimestamps(),
            Scene("either end aborts a simultaneous opening", client: both, server: both, after: .idle),
        ]
    }
}
