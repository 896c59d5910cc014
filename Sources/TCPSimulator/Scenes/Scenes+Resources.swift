internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

extension Scene {
    static let resourceScenes: [Scene] = [
        Scene(
            "data-on-syn", "S13", title: Phrase("Data on the first segment", "第一个报文段就带数据"),
            introduction: Phrase(
                "A SYN may carry data. But anybody can write any address on it, so no program may see the data before the handshake has shown that the sender is real.",
                "SYN 可以带数据。但它上面的地址谁都可以伪造，所以在握手证明发送者真实存在之前，应用程序不得看到这些数据。"),
            claims: [1, 7]
        ) { options in dataOnSYN(options) },
        Scene(
            "syn-flood", "S14", title: Phrase("A flood of SYNs", "SYN 洪水"),
            introduction: Phrase(
                "An attacker sends SYNs from addresses it made up and never answers. The server keeps a small entry for each, and only so many: the memory is bounded. Once the places are taken it answers with SYN cookies: it remembers nothing, and whoever is real brings back in the third segment all that is needed. So a real client need not wait.",
                "攻击者用捏造的地址发 SYN，之后再不作答。服务器为每个 SYN 只保留一个小条目，而且数量有限：占用的内存有上限。位置占满之后，它改用 SYN cookie 作答：自己什么也不记，真实的对端会在第三个报文段里把所需的一切带回来。所以真正的客户端不必等待。"
            ),
            claims: [14, 19]
        ) { options in flood(options) },
        Scene(
            "close-wait-leak", "S15", title: Phrase("A program forgets to close", "应用程序忘了关闭"),
            introduction: Phrase(
                "The client has closed, but the server's program never does. No timer runs in CLOSE-WAIT: the connection stays for as long as the program forgets it. Many connections in CLOSE-WAIT mean a bug in a program, not in TCP.",
                "客户端已经关闭，服务器的应用程序却一直不关。CLOSE-WAIT 没有定时器：程序忘多久，连接就留多久。大量 CLOSE-WAIT 说明应用程序有缺陷，不是 TCP 的问题。"),
            claims: [31]
        ) { options in
            let stage = Stage(options)
            let conversation = Conversation(stage, serverCloses: .whenAsked)
            stage.simulation.run(for: .seconds(3600))
            let later = (
                conversation.server.connection?.status?.state, conversation.client.connection?.status?.state
            )
            let quiet = stage.simulation.trace.segments.last.map { stage.simulation.now - $0.sent } ?? .zero
            let program = conversation.server
            stage.simulation.after(.zero) { program.close() }
            stage.simulation.runUntilIdle()
            return conversation.outcome([
                SceneCheck(
                    "after an hour the server is still in CLOSE-WAIT, the client in FIN-WAIT-2",
                    "一小时后服务器仍在 CLOSE-WAIT，客户端仍在 FIN-WAIT-2", later == (.closeWait, .finWait2)),
                SceneCheck("not one segment was sent in between", "这期间一个报文段也没有发", quiet > .seconds(3590)),
                SceneCheck(
                    "when the program closes at last, all is well", "程序终于关闭之后，一切正常结束",
                    stage.simulation.trace.passes("server", through: .closeWait, .lastAck, .closed)),
            ])
        },
        Scene(
            "fin-wait-2-orphan", "S15b", title: Phrase("A FIN-WAIT-2 that nobody holds", "没人要的 FIN-WAIT-2"),
            introduction: Phrase(
                "The client's program closes and exits; the server's never closes. A FIN-WAIT-2 without a program would last for ever, so the stack clears it away after a minute. What the server sends later finds nobody.",
                "客户端的应用程序关闭连接并退出；服务器的应用程序却一直不关。没有程序持有的 FIN-WAIT-2 会永远存在下去，所以协议栈在一分钟后清理它。服务器之后再发的东西就没人收了。"),
            claims: [31]
        ) { options in
            let stage = Stage(options)
            let conversation = Conversation(stage, replying: 100, serverCloses: .whenAsked, serverWrites: .whenAsked)
            let (client, server) = (conversation.client, conversation.server)
            stage.simulation.after(.milliseconds(400)) { client.connection?.release() }
            stage.simulation.after(.seconds(90)) { server.startWriting() }
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            return SceneOutcome(
                parts: [ScenePart(trace)],
                checks: [
                    SceneCheck(
                        "the client's entry goes after a minute without a FIN", "一分钟没有 FIN，客户端的条目被清理",
                        trace.stateChanges.contains {
                            $0.end == "client" && $0.from == .finWait2 && $0.to == .closed
                                && $0.time.nanoseconds > 59_000_000_000
                        }),
                    SceneCheck(
                        "data sent later is answered with RST", "之后发来的数据得到 RST",
                        trace.segments(from: "client", containing: .rst).count == 1 && server.error == .reset),
                ], delivered: server.received, isIntact: server.isIntact)
        },
    ]

    private static func dataOnSYN(_ options: SceneOptions) -> SceneOutcome {
        let simulation = Simulation(seed: options.seed, tracing: true)
        let client = simulation.addScriptedHost("client", addresses: [options.ipv6 ? "fd00::1/128" : "10.0.0.1/32"])
        let server = simulation.addHost("server", addresses: [options.ipv6 ? "fd00::2/64" : "10.0.0.2/24"])
        simulation.addLink(client, server, LinkConfiguration(delay: .milliseconds(20)))
        let pattern = PayloadPattern(seed: 13)
        let program = StreamApplication(expecting: pattern, closing: .whenAsked)
        _ = try? server.listen(on: Stage.port) { _ in program }
        let here = Endpoint(client.addresses[0].address, 40001)
        let there = server.endpoint(Stage.port, ipv6: options.ipv6)
        let first = SequenceNumber(0x4D53_0000 &+ UInt32(truncatingIfNeeded: options.seed))
        var payload = [UInt8](repeating: 0, count: 100)
        do {
            var span = payload.mutableSpan
            var bytes = span.mutableBytes
            pattern.fill(&bytes, from: 0)
        }
        let octets = payload
        var seenBefore = -1
        func clientState(_ from: State, _ to: State) {
            let time = simulation.now
            simulation.record(
                .state(TracedStateChange(time: time, end: "client", local: here, remote: there, from: from, to: to)))
        }
        client.onPacket = { host, bytes in
            guard let (_, header, _) = RawSegment.parse(bytes), header.flags == [.syn, .ack] else { return }
            seenBefore = program.received
            clientState(.synSent, .established)
            // What the SYN-ACK left out is sent again; the rest counts as delivered.
            let accepted = max(0, header.acknowledgment.distance(from: first + 1))
            host.send(
                RawSegment.packet(
                    from: here, to: there, sequence: first + 1 + accepted, acknowledgment: header.sequence + 1,
                    flags: accepted < 100 ? [.ack, .psh] : .ack, payload: Array(octets[min(accepted, 100)...])))
        }
        clientState(.closed, .synSent)
        client.send(RawSegment.packet(from: here, to: there, sequence: first, flags: .syn, payload: octets))
        simulation.run(for: .seconds(1))
        return SceneOutcome(
            parts: [ScenePart(simulation.trace)],
            checks: [
                SceneCheck(
                    "no program sees the data before the handshake is complete", "握手完成之前应用程序看不到数据", seenBefore == 0),
                SceneCheck(
                    "afterwards all 100 octets are there, once", "之后 100 字节全部到达，且只有一次", program.received == 100),
            ], delivered: program.received, isIntact: program.isIntact)
    }

    private static func flood(_ options: SceneOptions) -> SceneOutcome {
        let stage = Stage(options)
        let attacker = stage.simulation.addScriptedHost(
            "attacker", addresses: [options.ipv6 ? "2001:db8::/32" : "192.0.2.0/24"])
        stage.simulation.addLink(attacker, stage.server, LinkConfiguration(delay: .milliseconds(20)))
        var accepted = 0
        stage.listen(backlog: 4) { _ in
            accepted += 1
            return Stage.silent()
        }
        for number in 1...20 {
            // Each from a network of its own: one source takes no more than its share of the places.
            let address = IPAddress(options.ipv6 ? "2001:db8:\(number)::1" : "192.0.2.\(number)")
            guard let address else { continue }
            stage.simulation.after(.milliseconds(Int64(number))) {
                attacker.send(
                    RawSegment.packet(
                        from: Endpoint(address, 50000), to: stage.service,
                        sequence: SequenceNumber(UInt32(truncatingIfNeeded: SimulationRandom.mix(UInt64(number)))),
                        flags: .syn))
            }
        }
        var during = MemoryReport()
        stage.simulation.after(.milliseconds(500)) { during = stage.server.stack.memory }
        let client = Stage.silent()
        stage.simulation.after(.milliseconds(600)) { stage.connect(client) }
        stage.simulation.run(for: .seconds(300))
        let after = stage.server.stack.memory
        return SceneOutcome(
            parts: [ScenePart(stage.simulation.trace, left: "client")],
            checks: [
                SceneCheck(
                    "the half-open entries are bounded, 16 here, and are no connections; other SYNs get cookies",
                    "半开条目有上限，这里是 16 个，而且不是完整的连接；其余 SYN 得到 cookie",
                    during.halfOpenCount == 16 && during.connectionCount == 0
                        && stage.server.stack.counters.cookiesSent >= 4),
                SceneCheck("the flood makes no connection", "洪水没有造出任何连接", accepted == 1),
                SceneCheck(
                    "a real client gets its connection at once, by a cookie", "真正的客户端凭 cookie 立刻得到了连接",
                    client.isOpened && stage.server.stack.counters.cookiesAccepted == 1
                        && stage.simulation.trace.stateChanges.contains {
                            $0.end == "client" && $0.to == .established && $0.time.nanoseconds < 900_000_000
                        }),
                SceneCheck("in the end no half-open entry is left", "最后没有留下半开条目", after.halfOpenCount == 0),
            ])
    }
}
