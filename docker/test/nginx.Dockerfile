# Stands in for the official image `nginx` where no registry can be reached: Debian's nginx, without its modules, with
# the same user and signal. curl is there too, for the health check.
ARG BASE_IMAGE=debian:bookworm-slim
FROM ${BASE_IMAGE}
COPY debs /debs
RUN groupadd --gid 101 nginx && useradd --uid 101 --gid 101 --no-create-home nginx \
    && printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends /debs/*.deb \
    && rm -r /debs
STOPSIGNAL SIGQUIT
EXPOSE 80
CMD ["nginx", "-g", "daemon off;"]
