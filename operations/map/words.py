"""The words of the pictures in Korean. Names of services, and values, are the same in both languages."""

from collections.abc import Callable

Word = Callable[[str], str]
"""Translates a word of a picture."""

_KOREAN = {
    "Pictures of the platform": "플랫폼 그림",
    "Network, clusters and data": "네트워크, 클러스터, 데이터",
    "Identities": "자격 증명과 역할",
    "Delivery": "배포 과정",
    "Region": "리전",
    "account": "계정",
    "existing VPC": "기존 VPC",
    "public": "퍼블릭",
    "private": "프라이빗",
    "database": "데이터베이스",
    "NAT gateway": "NAT 게이트웨이",
    "VPC endpoints": "VPC 엔드포인트",
    "connections": "연결",
    "access host": "액세스 호스트",
    "runners": "러너",
    "environment": "환경",
    "Internet": "인터넷",
    "networks": "네트워크",
    "load balancer": "로드 밸런서",
    "internet-facing": "인터넷 연결",
    "internal": "내부",
    "API: private": "API: 프라이빗",
    "API: public": "API: 퍼블릭",
    "node group": "노드 그룹",
    "nodes as needed": "필요한 만큼 노드 추가",
    "file system": "파일 시스템",
    "backups of Argo CD": "Argo CD 백업",
    "standby in another zone": "다른 가용 영역에 대기 인스턴스",
    "one zone": "가용 영역 하나",
    "readers": "읽기 인스턴스",
    "may use": "쓸 수 있는 것",
    "service": "서비스",
    "assumes": "맡음",
    "none": "없음",
    "application repository": "애플리케이션 리포지토리",
    "images": "이미지",
    "pull request": "풀 리퀘스트",
    "digest": "다이제스트",
    "plan": "plan",
    "guard": "가드",
    "merge": "병합",
    "promote": "승격",
    "review": "리뷰",
    "this repository": "이 리포지토리",
    "services": "서비스",
    "stacks": "스택",
}


def english(text: str) -> str:
    """The word itself."""
    return text


def korean(text: str) -> str:
    """The word in Korean; the same for values and names."""
    return _KOREAN.get(text, text)
