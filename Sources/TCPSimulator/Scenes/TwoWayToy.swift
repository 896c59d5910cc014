internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

/// A protocol that does not exist: TCP's opening without the third segment. Its server believes every SYN.
final class TwoWayToy {
    let simulation: Simulation
    let client: ScriptedHost
    let server: ScriptedHost
    let link: Simulation.Link
    private(set) var serverConnections: Set<Endpoint> = []
    private(set) var clientConnections: Set<Endpoint> = []
    private var attempts: [Endpoint: SequenceNumber] = [:]

    init(_ options: SceneOptions) {
        simulation = Simulation(seed: options.seed, tracing: true)
        client = simulation.addScriptedHost("toy-client", addresses: [options.ipv6 ? "fd00::1/128" : "10.0.0.1/32"])
        server = simulation.addScriptedHost("toy-server", addresses: [options.ipv6 ? "fd00::2/128" : "10.0.0.2/32"])
        link = simulation.addLink(client, server, LinkConfiguration(delay: .milliseconds(20)))
        server.onPacket = { [unowned self] _, bytes in serve(bytes) }
        client.onPacket = { [unowned self] _, bytes in accept(bytes) }
    }

    private func record(_ end: SimulatedNode, _ local: Endpoint, _ remote: Endpoint, _ from: State, _ to: State) {
        simulation.record(
            .state(
                TracedStateChange(
                    time: simulation.now, end: end.name, local: local, remote: remote, from: from, to: to)))
    }

    /// Asks for a connection from a port, and gives up after `patience`.
    func connect(from port: UInt16, sequence: SequenceNumber, patience: Duration, orElse retry: @escaping () -> Void) {
        let local = Endpoint(client.addresses[0].address, port)
        let remote = Endpoint(server.addresses[0].address, Stage.port)
        attempts[local] = sequence
        record(client, local, remote, .closed, .synSent)
        client.send(RawSegment.packet(from: local, to: remote, sequence: sequence, flags: .syn))
        simulation.after(patience) { [unowned self] in
            guard attempts[local] != nil else { return }
            attempts[local] = nil
            record(client, local, remote, .synSent, .closed)
            retry()
        }
    }

    private func serve(_ bytes: [UInt8]) {
        guard let (ip, header, _) = RawSegment.parse(bytes), header.flags == .syn else { return }
        let local = Endpoint(ip.destination, header.destinationPort)
        let remote = Endpoint(ip.source, header.sourcePort)
        serverConnections.insert(remote)
        record(server, local, remote, .closed, .established)
        server.send(
            RawSegment.packet(
                from: local, to: remote, sequence: SequenceNumber(header.sequence.rawValue ^ 0x5555_5555),
                acknowledgment: header.sequence + 1, flags: [.syn, .ack]))
    }

    private func accept(_ bytes: [UInt8]) {
        guard let (ip, header, _) = RawSegment.parse(bytes) else { return }
        let local = Endpoint(ip.destination, header.destinationPort)
        guard let sequence = attempts[local], header.acknowledgment == sequence + 1 else { return }
        attempts[local] = nil
        clientConnections.insert(local)
        record(client, local, Endpoint(ip.source, header.sourcePort), .synSent, .established)
    }

    /// Connections that the server believes in and no client knows.
    var orphans: Int { serverConnections.subtracting(clientConnections).count }
}

extension Scene {
    static let twoWayScene = Scene(
        "two-way", "S5b",
        title: Phrase("What if two segments were enough? (a toy, not TCP)", "假如只要两次握手？（玩具协议，不是 TCP）"),
        introduction: Phrase(
            "First a toy protocol that does not exist: its server believes every SYN. When its answer is lost and the client gives up, the server holds a connection that nobody uses, for ever. Then real TCP under the same loss: the server holds only a half-open entry, which is cleared away.",
            "先看一个并不存在的玩具协议：服务器见到 SYN 就当连接已建成。它的应答丢了、客户端放弃了，服务器却永远守着一个没人用的连接。再看真正的 TCP 遇到同样的丢失：服务器只留一个半开条目，很快就清理掉。"),
        claims: [17, 19]
    ) { options in
        let toy = TwoWayToy(options)
        toy.link.backward.faults.losesPackets = [1]
        toy.connect(from: 40001, sequence: SequenceNumber(0x1234_5678), patience: .milliseconds(500)) {
            toy.connect(from: 40002, sequence: SequenceNumber(0x2345_6789), patience: .milliseconds(500)) {}
        }
        toy.simulation.runUntilIdle()

        let stage = Stage(options)
        stage.link.backward.faults.losesPackets = [1]
        stage.listen { _ in Stage.silent() }
        let first = stage.connect(Stage.silent())
        let second = Stage.silent()
        stage.simulation.after(.milliseconds(500)) {
            first.abort()
            stage.connect(second, port: 40002)
        }
        stage.simulation.run(for: .seconds(5))
        let established = stage.simulation.trace.stateChanges.filter { $0.end == "server" && $0.to == .established }
        return SceneOutcome(
            parts: [
                ScenePart(
                    toy.simulation.trace, heading: Phrase("The toy: two segments", "玩具协议：两次握手"), left: "toy-client",
                    right: "toy-server"),
                ScenePart(stage.simulation.trace, heading: Phrase("Real TCP: three segments", "真正的 TCP：三次握手")),
            ],
            checks: [
                SceneCheck(
                    "the toy's server holds one connection that nobody uses", "玩具服务器守着一个没人用的连接", toy.orphans == 1),
                SceneCheck(
                    "TCP's server has one ESTABLISHED connection, the one in use", "TCP 服务器只有一个 ESTABLISHED 连接，就是在用的那个",
                    established.count == 1 && established.first?.remote.port == 40002 && second.isOpened),
                SceneCheck(
                    "and no half-open entry is left", "也没有留下半开的条目", stage.server.stack.memory.halfOpenCount == 0),
            ])
    }
}
