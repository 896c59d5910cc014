import CLinux
import Glibc
import Testing

/// The commands as a person uses them: HTTP's corners, output, and what a mistake gets.
@Suite("tcp serve and tcp connect", .serialized, .enabled(if: Kernel.isWanted, Kernel.comment))
struct CommandKernelTests {
    /// Runs curl and gives the status code and the body.
    private func curl(_ space: Namespace, _ arguments: String...) throws -> (
        status: String, body: [UInt8], head: String
    ) {
        let body = space.scratch.unique("body")
        let head = space.scratch.unique("head")
        let output = try space.scratch.run(
            [
                "ip", "netns", "exec", space.name, "curl", "-sS", "--max-time", "20", "-o", body, "-D", head, "-w",
                "%{http_code}",
            ]
                + arguments)
        return (output, octets(of: body), contents(of: head))
    }

    @Test("HTTP serves files, parts of them and directories, and nothing outside the directory")
    func http() throws {
        let space = try Namespace()
        let scratch = space.scratch
        try scratch.run(["mkdir", "-p", scratch.file("site/sub dir/deep"), scratch.file("site/indexed")])
        try scratch.run(["sh", "-c", "echo secret > \(scratch.path)/secret; ln -s ../secret \(scratch.path)/site/link"])
        try scratch.run(["sh", "-c", "echo '<p>index' > \(scratch.path)/site/indexed/index.html"])
        try scratch.run([
            "sh", "-c", "printf 0123456789 > '\(scratch.path)/site/sub dir/a&b.txt'; : > \(scratch.path)/site/empty",
        ])
        let serving = try space.serve(["--http", scratch.file("site")])
        let base = "http://\(Namespace.ours4)"
        let text = "\(base)/sub%20dir/a%26b.txt"

        let whole = try curl(space, text)
        #expect(whole.status == "200" && whole.body == Array("0123456789".utf8))
        #expect(whole.head.contains("Content-Type: text/plain; charset=utf-8\r\n"))
        #expect(whole.head.contains("Accept-Ranges: bytes\r\n"))
        for (range, part) in [("0-3", "0123"), ("7-", "789"), ("-2", "89"), ("5-99", "56789"), ("9-9", "9")] {
            let answer = try curl(space, "-r", range, text)
            #expect(answer.status == "206" && answer.body == Array(part.utf8), "\(range)")
            #expect(answer.head.contains("/10\r\n"))
        }
        let beyond = try curl(space, "-r", "10-", text)
        #expect(beyond.status == "416" && beyond.head.contains("Content-Range: bytes */10\r\n"))
        // Several ranges at once may be answered by the whole.
        #expect(try curl(space, "-r", "0-1,4-5", text).body == whole.body)
        let head = try curl(space, "-I", text)
        #expect(head.status == "200" && head.head.contains("Content-Length: 10\r\n"))
        #expect(try curl(space, "\(base)/empty").status == "200")

        #expect(try curl(space, "\(base)/nothing").status == "404")
        let posted = try curl(space, "-d", "x=1", text)
        #expect(posted.status == "405" && posted.head.contains("Allow: GET, HEAD\r\n"))
        for path in ["/../secret", "/sub%20dir/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/a%00b", "/%zz"] {
            #expect(try curl(space, "--path-as-is", "\(base)\(path)").status == "400", "\(path)")
        }
        #expect(try curl(space, "\(base)/link").status == "403")

        #expect(try curl(space, "\(base)/indexed/").body == Array("<p>index\n".utf8))
        #expect(try curl(space, "\(base)/indexed").head.contains("Location: /indexed/\r\n"))
        let listing = String(decoding: try curl(space, "\(base)/sub%20dir/").body, as: UTF8.self)
        #expect(listing.contains("<a href=\"./a%26b.txt\">a&amp;b.txt</a>"))
        #expect(listing.contains("<a href=\"./deep/\">deep/</a>") && listing.contains("../"))
        // Both requests of one curl use one connection.
        let twice = try space.run(
            "curl", "-sS", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects}", text, text)
        #expect(twice == "10")
        try space.stop(serving)
    }

    @Test("A head that is no request, or too long, or of another version, is refused and the connection closed")
    func badRequests() throws {
        let space = try Namespace()
        let serving = try space.serve(["--http", space.scratch.path])
        let program = """
            import socket, sys
            def ask(octets):
                s = socket.create_connection((sys.argv[1], 80))
                s.sendall(octets)
                answer = b""
                while True:
                    part = s.recv(65536)
                    if not part: break
                    answer += part
                return answer.split(b" ", 2)[1].decode()
            print(ask(b"nonsense\\r\\n\\r\\n"), ask(b"GET / HTTP/1.1\\r\\n\\r\\n"), ask(b"GET / HTTP/2.0\\r\\nHost: a\\r\\n\\r\\n"),
                ask(b"GET / HTTP/1.1\\r\\nHost : a\\r\\n\\r\\n"), ask(b"GET / HTTP/1.1\\r\\n" + b"A: b\\r\\n" * 9000),
                ask(b"GET /\\x01 HTTP/1.0\\r\\n\\r\\n"))
            """
        #expect(try space.run("python3", "-c", program, Namespace.ours4) == "400 400 505 400 431 400\n")
        try space.stop(serving)
    }

    @Test("Serving is one thread, prints JSON alone on standard output, and a line a packet when asked")
    func output() throws {
        let space = try Namespace()
        try space.scratch.run(["sh", "-c", "echo hello > \(space.scratch.path)/hello.txt"])
        let serving = try space.serve(["--http", space.scratch.path, "--json", "--trace"])
        try space.run("curl", "-sS", "http://\(Namespace.ours4)/hello.txt")
        #expect(contents(of: "/proc/\(serving.pid)/status").contains("Threads:\t1\n"))
        serving.signal(SIGUSR1)
        try serving.waitFor("connections; the stack holds")
        try space.stop(serving)
        let lines = contents(of: serving.output)
        let program = """
            import json, sys
            for line in open(sys.argv[1]): print(json.loads(line)["event"])
            """
        let events = try space.run("python3", "-c", program, serving.output)
        #expect(events == "serving\nrequest\nstatus\nend\n", "\(lines)")
        #expect(lines.contains("\"method\":\"GET\",\"target\":\"/hello.txt\",\"status\":200,\"octets\":6}"))
        let trace = contents(of: serving.errors)
        #expect(trace.contains(" > 10.77.0.2:80 [SYN] seq "))
        #expect(trace.contains("10.77.0.2:80 > 10.77.0.3:"))
        #expect(trace.contains("[SYN,ACK]") && trace.contains("mss 1460"))
    }

    @Test("A mistake gets one sentence with the mend: 64 for usage, 1 for the rest")
    func mistakes() throws {
        let space = try Namespace()
        let serve = [Kernel.command, "serve", "--tun", "tcp0"]
        let address = ["--address", "10.77.0.2/24"]
        let usage: [([String], String)] = [
            (serve + address, "nothing to serve"),
            (serve + ["--address", "10.77.0.2", "--echo", "7"], "name one with --peer"),
            (serve + ["--address", "ten", "--echo", "7"], "write it as 10.9.0.2/24"),
            (serve + address + ["--peer", "fd77::1", "--echo", "7"], "no --address of its family"),
            (serve + address + ["--peer", "10.77.0.2", "--echo", "7"], "choose another host address"),
            (serve + address + ["--echo", "80", "--http", "."], "share a port"),
            (serve + address + ["--echo", "7", "--mtu", "20"], "use 68 to 65535"),
            (serve + address + ["--echo", "70000"], "70000"),
            (serve + address + ["--echo", "7", "--offload", "maybe"], "maybe"),
        ]
        for (arguments, words) in usage {
            let running = try space.scratch.start(["ip", "netns", "exec", space.name] + arguments)
            #expect(try running.wait(seconds: 20) == 64, "\(arguments)")
            #expect(contents(of: running.errors).contains(words), "\(contents(of: running.errors))")
        }
        let tap = [Kernel.command, "serve", "--tap", "tcp0", "--echo", "7"]
        let taps: [([String], String)] = [
            ([Kernel.command, "serve", "--echo", "7"] + address, "Name an interface: --tun NAME, or --tap NAME"),
            (serve + ["--tap", "tcp0", "--echo", "7"] + address, "Give --tun or --tap, not both"),
            (serve + ["--echo", "7", "--gateway", "10.77.0.9"] + address, "--gateway goes with --tap"),
            (serve + ["--echo", "7", "--mac", "02:00:5e:10:00:01"] + address, "--mac goes with --tap"),
            (serve + ["--echo", "7", "--autoconfigure"], "--autoconfigure goes with --tap"),
            (serve + ["--echo", "7"], "Give our stack an address: --address 10.9.0.2/24."),
            (tap, "or --autoconfigure for those of routers"),
            (tap + address + ["--mac", "02:00:5e:10:00"], "write it as 02:00:5e:10:00:01"),
            (tap + address + ["--mac", "ff:ff:ff:ff:ff:ff"], "is no station's address"),
            (tap + address + ["--gateway", "router"], "write it as 10.9.0.1 or fe80::1"),
            (tap + address + ["--gateway", "10.78.0.1"], "is no neighbor of ours"),
            (tap + address + ["--gateway", "10.77.0.2"], "is no neighbor of ours"),
            (tap + address + ["--gateway", "fe80::1"], "is no neighbor of ours"),
            (tap + address + ["--gateway", "10.77.0.8", "--gateway", "10.77.0.9"], "Two --gateway of one family"),
            (tap + ["--autoconfigure", "--mtu", "1000"], "use 1280 to 65535"),
        ]
        for (arguments, words) in taps {
            let running = try space.scratch.start(["ip", "netns", "exec", space.name] + arguments)
            #expect(try running.wait(seconds: 20) == 64, "\(arguments)")
            #expect(contents(of: running.errors).contains(words), "\(contents(of: running.errors))")
            #expect(contents(of: running.errors).split(separator: "\n").count == 1)
        }
        let held = try space.serve(["--echo", "7"])
        // Without rights: as nobody.
        let nobody =
            "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])"
        let failures: [([String], String)] = [
            (serve + address + ["--echo", "7"], "Another program holds the interface tcp0"),
            ([Kernel.command, "serve", "--tun", "a/b", "--echo", "7"] + address, "cannot be an interface's name"),
            ([Kernel.command, "serve", "--tun", "lo", "--echo", "7"] + address, "is no TUN interface"),
            ([Kernel.command, "serve", "--tap", "lo", "--echo", "7"] + address, "is no TAP interface"),
            (serve + address + ["--http", "/nowhere"], "name a directory that you may read"),
            (serve + address + ["--echo", "7", "--pcap", "/nowhere/x"], "name a file in a directory"),
            (
                ["python3", "-c", nobody, Kernel.command, "serve", "--tun", "tcp1", "--echo", "7"] + address,
                "run as root"
            ),
        ]
        for (arguments, words) in failures {
            let running = try space.scratch.start(["ip", "netns", "exec", space.name] + arguments)
            #expect(try running.wait(seconds: 20) == 1, "\(arguments)")
            let complaint = contents(of: running.errors)
            #expect(complaint.hasPrefix("tcp: ") && complaint.contains(words), "\(complaint)")
            #expect(complaint.split(separator: "\n").count == 1)
        }
        try space.stop(held)
    }

    @Test("With a peer the kernel has that address, and the interface goes with the command")
    func peers() throws {
        let space = try Namespace()
        let running = try space.scratch.start(
            ["ip", "netns", "exec", space.name, Kernel.command, "serve", "--tun", "tcp0", "--address", "10.5.0.9/32"]
                + [
                    "--address", "fd05::9/128", "--peer", "192.168.7.1", "--peer", "fd07::1", "--echo", "7", "--mtu",
                    "9000",
                ])
        try running.waitFor("Ready.")
        let addresses = try space.run("ip", "-o", "addr", "show", "dev", "tcp0")
        #expect(addresses.contains("inet 192.168.7.1 peer 10.5.0.9/32"))
        #expect(addresses.contains("inet6 fd07::1 peer fd05::9/128"))
        #expect(try space.run("ip", "link", "show", "tcp0").contains("mtu 9000"))
        let message = space.scratch.file("message")
        try space.run("sh", "-c", "echo hello > \(message)")
        for host in ["10.5.0.9", "fd05::9"] {
            #expect(try space.run("nc", "-N", host, "7", input: message) == "hello\n")
        }
        try space.stop(running)
        #expect(!(try space.run("ip", "link")).contains("tcp0"))
    }
}
